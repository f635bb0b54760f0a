package main

import (
	"net/url"
	"os"
)

// ciVariables maps the allowed metadata to the variables of CI systems that hold it, first match wins. Nothing else is
// ever copied: environments hold tokens, and a ledger forgets nothing.
var ciVariables = []struct {
	key  string
	from []string
}{
	{"ci.build", []string{"CI_PIPELINE_ID", "GITHUB_RUN_ID", "BUILD_NUMBER"}},
	{"ci.job", []string{"CI_JOB_NAME", "GITHUB_JOB", "JOB_NAME"}},
	{"ci.url", []string{"CI_PIPELINE_URL", "BUILD_URL"}},
	{"ci.workflow", []string{"GITHUB_WORKFLOW"}},
	{"vcs.ref", []string{"CI_COMMIT_REF_NAME", "GITHUB_REF_NAME", "GIT_BRANCH"}},
	{"vcs.repository", []string{"CI_PROJECT_URL", "GIT_URL"}},
	{"vcs.revision", []string{"CI_COMMIT_SHA", "GITHUB_SHA", "GIT_COMMIT"}},
}

// ciMetadata is what the environment tells about the build.
func ciMetadata() map[string]string {
	m := map[string]string{}
	for _, v := range ciVariables {
		for _, name := range v.from {
			if s := withoutSecrets(os.Getenv(name)); s != "" && len(s) <= 512 {
				m[v.key] = s
				break
			}
		}
	}
	if s, repo := os.Getenv("GITHUB_SERVER_URL"), os.Getenv("GITHUB_REPOSITORY"); s != "" && repo != "" && m["vcs.repository"] == "" {
		if s = withoutSecrets(s + "/" + repo); s != "" {
			m["vcs.repository"] = s
		}
	}
	for name, system := range map[string]string{"GITLAB_CI": "gitlab", "GITHUB_ACTIONS": "github", "JENKINS_URL": "jenkins"} {
		if os.Getenv(name) != "" {
			m["ci.system"] = system
		}
	}
	return m
}

// withoutSecrets drops user name, password, query and fragment of an address: clone addresses carry tokens.
func withoutSecrets(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	if u.Host == "" {
		return s
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
