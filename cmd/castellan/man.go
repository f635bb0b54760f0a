package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manPage is a command's page in the language of man(7). The texts are plain, so that no converter is needed.
func manPage(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	title := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %q 1 \"\" \"castellan %s\" \"Castellan\"\n", strings.ToUpper(title), roff(version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(title), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	if cmd.Long != "" {
		fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roff(cmd.Long))
	}
	manFlags(&b, "OPTIONS", cmd.NonInheritedFlags())
	manFlags(&b, "COMMON OPTIONS", cmd.InheritedFlags())
	var below []string
	for _, sub := range cmd.Commands() {
		if !sub.Hidden && sub.Name() != "help" {
			fmt.Fprintf(&b, "%s.TP\n.B %s\n%s\n", first(below, ".SH COMMANDS\n"), roff(sub.Name()), roff(sub.Short))
			below = append(below, strings.ReplaceAll(sub.CommandPath(), " ", "-"))
		}
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(strings.Trim(cmd.Example, "\n")))
	}
	b.WriteString(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 3 nothing to do, 4 refused or deferred by trust, 5 daemon not reachable.\n")
	if cmd.HasParent() {
		below = append([]string{strings.ReplaceAll(cmd.Parent().CommandPath(), " ", "-")}, below...)
	}
	for i, name := range below {
		end := ","
		if i == len(below)-1 {
			end = ""
		}
		fmt.Fprintf(&b, "%s.BR %s (1)%s\n", first(below[:i], ".SH SEE ALSO\n"), roff(name), end)
	}
	return b.Bytes()
}

// first is head before the first of a list.
func first(before []string, head string) string {
	if len(before) > 0 {
		return ""
	}
	return head
}

func manFlags(b *bytes.Buffer, head string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", head)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		arg, text := pflag.UnquoteUsage(f)
		if arg != "" {
			name += " " + strings.ToUpper(arg)
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(name), roff(text))
	})
}

// roff writes text so that it stands as it is: no line is a request, no character an escape.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	var b strings.Builder
	for _, c := range s {
		if c < 0x80 {
			b.WriteRune(c)
		} else { // pages are read in every locale
			fmt.Fprintf(&b, `\[u%04X]`, c)
		}
	}
	lines := strings.Split(b.String(), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
