package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

// examples are command lines that the help shows, by the words of the command. What is in here must parse.
var examples = map[string]string{
	"status":               "castellan status\ncastellan status --json",
	"check":                "castellan check",
	"update":               "castellan update\ncastellan update core --to 2026.8.3",
	"rollback":             "castellan rollback core",
	"plan":                 "castellan plan\ncastellan plan --quick",
	"unhold":               "castellan unhold core",
	"skip":                 "castellan skip core 2026.8.3\ncastellan skip",
	"unskip":               "castellan unskip core\ncastellan unskip core 2026.8.3",
	"mode":                 "castellan mode\ncastellan mode core ask",
	"hold":                 "castellan hold core --until 2026-12-24 --why holidays\ncastellan hold",
	"window list":          "castellan window list",
	"window add":           "castellan window add 02:00-04:00",
	"window remove":        "castellan window remove 1",
	"log":                  "castellan log\ncastellan log --kind verdict --service core -n 5\ncastellan log --outcome REFUSE --since 2026-12-24",
	"log explain":          "castellan log explain 12",
	"log export":           "castellan log export\ncastellan log export --outcome REFUSE --since 2026-12-24",
	"log replay":           "castellan log replay 12",
	"log verify":           "castellan log verify",
	"run":                  "castellan run --config /etc/castellan/castellan.yaml",
	"version":              "castellan version",
	"openapi":              "castellan openapi",
	"repo list":            "castellan repo list",
	"repo add":             "castellan repo add https://github.com/hassio-addons/repository",
	"repo remove":          "castellan repo remove a0d7b954",
	"repo refresh":         "castellan repo refresh\ncastellan repo refresh core",
	"trust force":          "castellan trust force core --why tested",
	"trust unforce":        "castellan trust unforce k3x7",
	"trust overrides":      "castellan trust overrides",
	"trust ledgers":        "castellan trust ledgers",
	"trust publishers":     "castellan trust publishers",
	"trust verify":         "castellan trust verify",
	"trust pins":           "castellan trust pins",
	"trust forget":         "castellan trust forget core",
	"trust reinit":         "castellan trust reinit --yes",
	"addon list":           "castellan addon list\ncastellan addon list --all",
	"addon info":           "castellan addon info core_mosquitto",
	"addon install":        "castellan addon install core_mosquitto --yes --start",
	"addon start":          "castellan addon start core_mosquitto",
	"addon stop":           "castellan addon stop core_mosquitto",
	"addon restart":        "castellan addon restart core_mosquitto",
	"addon update":         "castellan addon update core_mosquitto",
	"addon rollback":       "castellan addon rollback core_mosquitto",
	"addon build":          "castellan addon build local_example --yes",
	"addon logs":           "castellan addon logs core_mosquitto -n 50\ncastellan addon logs core_mosquitto --follow",
	"addon stats":          "castellan addon stats core_mosquitto",
	"addon stdin":          "castellan addon stdin core_mosquitto",
	"completion":           "castellan completion bash",
	"man":                  "castellan man man1",
	"setup-code":           "castellan setup-code",
	"user list":            "castellan user list",
	"user remove":          "castellan user remove anna",
	"user role":            "castellan user role anna operator",
	"session list":         "castellan session list",
	"session end":          "castellan session end --user anna",
	"token list":           "castellan token list",
	"token remove":         "castellan token remove 3f2a",
	"change list":          "castellan change list\ncastellan change list --service core --last 5",
	"change show":          "castellan change show 20261126t013257-cdb18589",
	"change wait":          "castellan change wait 20261126t013257-cdb18589",
	"job list":             "castellan job list",
	"job show":             "castellan job show 3f2a",
	"job wait":             "castellan job wait 3f2a",
	"job cancel":           "castellan job cancel 3f2a",
	"events":               "castellan events",
	"backup list":          "castellan backup list",
	"backup show":          "castellan backup show 3f2a",
	"backup verify":        "castellan backup verify 3f2a",
	"backup remove":        "castellan backup remove 3f2a",
	"backup download":      "castellan backup download 3f2a\ncastellan backup download 3f2a -o /media/usb/3f2a.tar",
	"backup upload":        "castellan backup upload 3f2a.tar",
	"addon lint":           "castellan addon lint .",
	"addon consent":        "castellan addon consent core_mosquitto --yes",
	"addon uninstall":      "castellan addon uninstall core_mosquitto --yes",
	"addon import":         "castellan addon import backup.tar core_mosquitto --yes",
	"addon options":        "castellan addon options core_mosquitto --get\ncastellan addon options core_mosquitto --set require_certificate=true",
	"addon ports":          "castellan addon ports core_mosquitto\ncastellan addon ports core_mosquitto 1883/tcp=1884",
	"addon set":            "castellan addon set core_mosquitto --watchdog on",
	"trust house init":     "castellan trust house init",
	"trust house list":     "castellan trust house list",
	"trust house accept":   "castellan trust house accept core --version 2026.8.3",
	"trust house withdraw": "castellan trust house withdraw core --severity stop",
}

// furnish gives each command what the help and its failures need and it did not bring itself.
func furnish(o *options, cmd *cobra.Command) {
	words := wordsOf(cmd)
	if text, ok := examples[words]; ok && cmd.Example == "" {
		cmd.Example = "  " + strings.ReplaceAll(text, "\n", "\n  ")
	}
	completes(o, cmd)
	for _, sub := range cmd.Commands() {
		furnish(o, sub)
	}
}

// wordsOf are the words that name a command, without the program's own.
func wordsOf(cmd *cobra.Command) string {
	_, words, _ := strings.Cut(cmd.CommandPath(), " ")
	return words
}

// fallback is the next step after a failure that names none.
func fallback(cmd *cobra.Command, code int, err error) string {
	var answer *api.Error
	switch words := wordsOf(cmd); {
	case code == exitNothing:
		return "" // no failure
	case code == exitRefused:
		return "castellan log --kind verdict"
	case words == "run":
		return "mend that, then: systemctl restart castellan"
	case code == exitUsage || !errors.As(err, &answer):
		return strings.TrimSpace("castellan "+words) + " --help"
	case words == "status":
		return "journalctl -u castellan -e"
	}
	return "castellan status"
}
