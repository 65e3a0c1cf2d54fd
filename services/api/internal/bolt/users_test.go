package bolt_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"handoff/services/api/internal/bolt"
	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/user"
)

// Whatever a row holds, the address that is found is the one that decoding gives.
func TestEachEmailGivesTheAddresses(t *testing.T) {
	t.Parallel()
	dir, runs := t.TempDir(), 0
	odd := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", `"`, `\`, `"email":"x"`, `\"email\":\"x`, "email", `ada@example.org`, "<ä>"}))
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		s, err := bolt.Open(filepath.Join(dir, fmt.Sprint(runs)))
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		c := &commit.Changes{}
		for i := range rapid.IntRange(1, 5).Draw(rt, "users") {
			c.Users = append(c.Users, user.User{
				ID: fmt.Sprint(i) + odd.Draw(rt, "id"), Key: uint64(i + 1), Email: odd.Draw(rt, "email"), Username: odd.Draw(rt, "name"), JobID: odd.Draw(rt, "job"),
			})
		}
		if err := s.Commit(c); err != nil {
			rt.Fatal(err)
		}
		var want, got []string
		if err := s.EachUser(func(u user.User) { want = append(want, fmt.Sprint(u.Key, u.Email)) }); err != nil {
			rt.Fatal(err)
		}
		if err := s.EachEmail(func(key uint64, email string) { got = append(got, fmt.Sprint(key, email)) }); err != nil {
			rt.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("got %q, want %q", got, want)
		}
	})
}
