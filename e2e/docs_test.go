package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The pages name tests as package.Test, or package.Test/subtest. They would soon name some that are gone.
func TestTestsThatThePagesNameExist(t *testing.T) {
	t.Parallel()
	neverCached(t)
	known := allTests(t)
	named := regexp.MustCompile("`(\\w+)\\.((?:Test|Fuzz)\\w+)(?:/([^`]+))?`")
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		text := readFile(t, page)
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			found++
			if why := known.missing(m[1], m[2], m[3]); why != "" {
				t.Errorf("%s names %s: %s", filepath.Base(page), m[0], why)
			}
		}
		for line := range strings.Lines(text) {
			// Each fault has a test, or says why not.
			cells := strings.Split(line, " | ")
			if filepath.Base(page) != "faults.md" || len(cells) < 3 || strings.HasPrefix(line, "| ---") || strings.HasSuffix(line, " shown by |\n") {
				continue
			}
			if !named.MatchString(cells[len(cells)-1]) && !strings.Contains(line, "Not tested here") {
				t.Errorf("%s: no test is named in %s", filepath.Base(page), line)
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d are found", found)
	}
	for _, gone := range [][3]string{{"worker", "TestOutcomes", ""}, {"relay", "TestOutcomes", "x"}, {"none", "TestX", ""}, {"sweep", "TestDecide", "no_such_case"}} {
		if is := known.missing(gone[0], gone[1], gone[2]) == ""; is != (gone[0] == "worker") {
			t.Errorf("%v is there: %t", gone, is)
		}
	}
}

// tests are the test files of each package by its name, which several directories may share, and the functions in them.
type tests struct {
	functions map[string]bool     // by package.Function
	files     map[string][]string // what is in them, by package
}

func allTests(t *testing.T) tests {
	t.Helper()
	all := tests{map[string]bool{}, map[string][]string{}}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		dir, err := filepath.Abs(filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg, text := filepath.Base(dir), readFile(t, path)
		all.files[pkg] = append(all.files[pkg], text)
		for _, m := range function.FindAllStringSubmatch(text, -1) {
			all.functions[pkg+"."+m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// missing says why there is no such test; of a subtest, the name must stand in one of the package's files.
func (a tests) missing(pkg, function, sub string) string {
	if !a.functions[pkg+"."+function] {
		return "there is no such test"
	}
	for _, text := range a.files[pkg] {
		if strings.Contains(text, sub) || strings.Contains(text, strings.ReplaceAll(sub, "_", " ")) {
			return ""
		}
	}
	return "there is no such case of it"
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
