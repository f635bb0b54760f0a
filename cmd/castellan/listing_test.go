package main

import (
	"strings"
	"testing"
)

func TestListing(t *testing.T) {
	var out strings.Builder
	l := newTable(&out, "NAME", "TOKENS", "WHY")
	l.AppendRow([]any{"温度計", 3, "it\nwaits"})
	l.AppendRow([]any{"bea\u0301con 🚀", 12, ""})
	l.AppendRow([]any{"ssh", 100, "-"})
	l.Render()
	want := "NAME       TOKENS  WHY\n" +
		"温度計          3  it waits\n" +
		"bea\u0301con 🚀      12\n" +
		"ssh           100  -\n"
	if out.String() != want {
		t.Errorf("the table is\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	newTable(&out, "NAME", "TOKENS").Render()
	if out.String() != "NAME  TOKENS\n" {
		t.Errorf("an empty table is %q", out.String())
	}
}
