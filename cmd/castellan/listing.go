package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// listing is a plain table that a narrow terminal can show: columns as wide as what is in them, numbers to the right.
type listing struct {
	w      io.Writer
	rows   [][]string
	number []bool // columns of which each cell is a number
}

// newTable begins a table with the names of its columns.
func newTable(w io.Writer, header ...any) *listing {
	t := &listing{w: w, number: make([]bool, len(header))}
	for i := range t.number {
		t.number[i] = true
	}
	t.rows = append(t.rows, texts(header))
	return t
}

// AppendRow adds a row with a cell for each column.
func (t *listing) AppendRow(cells []any) {
	for i, c := range cells[:len(t.number)] {
		switch c.(type) {
		case int, int64, uint64:
		default:
			t.number[i] = false
		}
	}
	t.rows = append(t.rows, texts(cells))
}

// Render writes it. Who does not want to read it any more is no failure.
func (t *listing) Render() {
	width := make([]int, len(t.number))
	for _, row := range t.rows {
		for i, cell := range row {
			width[i] = max(width[i], columns(cell))
		}
	}
	var out strings.Builder
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			gap := strings.Repeat(" ", width[i]-columns(cell))
			if t.number[i] && len(t.rows) > 1 {
				cell, gap = gap+cell, ""
			}
			line.WriteString(cell + gap + "  ")
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, _ = io.WriteString(t.w, out.String())
}

func texts(cells []any) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = strings.ReplaceAll(fmt.Sprint(c), "\n", " ")
	}
	return out
}

// wide are the letters that take two columns of a terminal (Unicode Annex 11, W and F, as far as names have them).
var wide = []*unicode.RangeTable{unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana}

// columns is how much room a text takes on a terminal.
func columns(s string) (n int) {
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case unicode.In(r, wide...), r >= 0x1F300 && r <= 0x1FAFF, r >= 0xFF00 && r <= 0xFF60:
			n += 2
		default:
			n++
		}
	}
	return n
}
