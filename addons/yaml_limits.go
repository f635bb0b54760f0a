package addons

import (
	"bytes"
	"fmt"

	"github.com/goccy/go-yaml/token"
)

// Limits on YAML. The library looks at all keys of a dictionary for each of them. The largest file of an add-on in use
// has some hundred tokens.
const (
	maxKeys   = 5_000
	maxTokens = 30_000
)

// manyTabs finds the line up to which the library would look too often for the end of a line: it does for each tab in
// double quotes. 0 when it would not.
func manyTabs(data []byte) int {
	const enough = 16 << 20
	looks, n := 0, 0
	for line := range bytes.Lines(data) {
		n++
		if looks += bytes.Count(line, []byte("\t")) * len(line); looks > enough {
			return n
		}
	}
	return 0
}

const secondDocument = "a second YAML document begins; keep one and delete the line ---"

// tooMuch finds the line where the file gets too large for a parser that recurses; 0 when there is none. Depth is that
// of brackets and of what opens a level without a new line: levels by indentation are bounded by the size of the file.
func tooMuch(tokens token.Tokens) (line int, what string) {
	if len(tokens) > maxTokens {
		return tokens[maxTokens].Position.Line, fmt.Sprintf("more than %d words and signs", maxTokens)
	}
	brackets, opened, on, keys, headers, ends := 0, 0, 0, 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != on {
			on, opened = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets = max(brackets-1, 0)
		case token.CollectEntryType:
			opened = 0
		case token.DocumentHeaderType:
			headers++
		case token.DocumentEndType:
			ends++
		case token.MappingValueType, token.MappingKeyType:
			keys++
			opened++
		case token.SequenceEntryType, token.AnchorType, token.TagType:
			opened++
		}
		switch {
		case brackets > maxDepth, opened > maxDepth:
			return max(on, 1), fmt.Sprintf("nested more than %d deep", maxDepth)
		case headers > 1, ends > 1:
			return max(on, 1), secondDocument
		case keys > maxKeys:
			return max(on, 1), fmt.Sprintf("more than %d keys", maxKeys)
		}
	}
	return 0, ""
}
