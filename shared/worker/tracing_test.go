package worker

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWhatIsNoTraceBeginsOne(t *testing.T) {
	t.Parallel()
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for parent, kept := range map[string]bool{
		"00-" + trace + "-" + span + "-01":                    true,
		"00-" + trace + "-" + span + "-00":                    true,
		"cc-" + trace + "-" + span + "-01-what-may-yet-come":  true,
		"cc-" + trace + "-" + span + "-01what-may-yet-come":   false,
		"00-" + trace + "-" + span + "-01-what-may-yet-come":  false,
		"ff-" + trace + "-" + span + "-01":                    false,
		"00-" + strings.ToUpper(trace) + "-" + span + "-01":   false,
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01":  false,
		"00-" + trace + "-" + strings.Repeat("0", 16) + "-01": false,
		"00_" + trace + "_" + span + "_01":                    false,
		"":                                                    false,
		"by hand":                                             false,
	} {
		child := childOf(parent)
		if strings.Contains(child, trace) != kept {
			t.Errorf("the child of %q is %s", parent, child)
		}
		if strings.Contains(child, span) {
			t.Errorf("the child of %q is its parent: %s", parent, child)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		child := childOf(rapid.String().Draw(t, "parent"))
		trace, _, ok := parseTraceParent(child)
		if !ok {
			t.Fatalf("%s is none", child)
		}
		if again, _, _ := parseTraceParent(childOf(child)); again != trace {
			t.Fatalf("%s became %s", trace, again)
		}
	})
}
