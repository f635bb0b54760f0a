// Command report reads `go test -json` on standard input and says what a person wants to know of it: a line a package,
// the output of what failed, what was skipped, and the sum as its last line. It exits 1 when something failed, when
// something was skipped, since a test that did not run shows nothing, and when no test ran at all.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// event is one line of test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

func main() {
	var passed, failed, skipped int
	output := map[string][]string{} // package and test -> its lines
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text()) // a compiler's word
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
		case "pass", "fail", "skip":
			if e.Test == "" {
				failed += packageEnd(e, output)
			} else {
				count(e, &passed, &failed, &skipped, output[key])
			}
			delete(output, key)
		}
	}
	if err := in.Err(); err != nil {
		fmt.Println("report:", err)
		failed++
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed+skipped > 0 || passed == 0 {
		os.Exit(1)
	}
}

func count(e event, passed, failed, skipped *int, lines []string) {
	switch e.Action {
	case "pass":
		*passed++
	case "skip":
		*skipped++
		fmt.Printf("SKIPPED %s %s\n%s", e.Package, e.Test, strings.Join(lines, ""))
	case "fail":
		*failed++
		fmt.Printf("FAILED %s %s\n%s", e.Package, e.Test, strings.Join(lines, ""))
	}
}

// packageEnd prints a package's line; one that fails is a failure of its own, with the words of every test that did not
// come to an end: it may have been the one.
func packageEnd(e event, output map[string][]string) int {
	switch e.Action {
	case "pass":
		fmt.Printf("ok      %-60s %6.1f s\n", e.Package, e.Elapsed)
	case "fail":
		fmt.Printf("FAILED  %-60s %6.1f s\n", e.Package, e.Elapsed)
		for key, lines := range output {
			if strings.HasPrefix(key, e.Package+" ") {
				fmt.Print(strings.Join(lines, ""))
				delete(output, key)
			}
		}
		return 1
	}
	return 0 // a package without tests
}
