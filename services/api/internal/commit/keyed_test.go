package commit_test

import (
	"strings"
	"testing"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/shared/event"
)

func TestTheFirstOfTwoUnderOneKeyStands(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := committer(t, s)
	run(t, c)
	sum := commit.Sum{1, 2, 3}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	var first, second uint64
	err := c.Do(func(v *commit.View) error {
		for _, bad := range []string{"", "00", strings.Repeat("x", 64), sum.String() + "00"} {
			v.AddKeyed(&event.Envelope{ID: "bad", IdempotencyHash: bad, BodyHash: sum.String()}, 1, at)
			v.AddKeyed(&event.Envelope{ID: "bad", IdempotencyHash: sum.String(), BodyHash: bad}, 1, at)
		}
		if got, ok := v.NewKeyed(sum); ok {
			t.Errorf("an event without whole sums is noted: %+v", got)
		}
		first, second = add(v, "first").Key, add(v, "second").Key
		v.AddKeyed(&event.Envelope{ID: "first", IdempotencyHash: sum.String(), BodyHash: sum.String()}, first, at)
		v.AddKeyed(&event.Envelope{ID: "second", IdempotencyHash: sum.String(), BodyHash: commit.Sum{}.String()}, second, at)
		if got, ok := v.NewKeyed(sum); !ok || got.Job != "first" {
			t.Errorf("in the same transaction: %+v, %v", got, ok)
		}
		if _, ok, err := v.Keyed(first); ok || err != nil {
			t.Errorf("the store has it before the transaction is over: %v (%v)", ok, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Do(func(v *commit.View) error {
		want := commit.Keyed{Key: first, Job: "first", Hash: sum, Request: sum, At: at}
		if got, ok, err := v.Keyed(first); !ok || err != nil || got != want {
			t.Errorf("the store has %+v (%v, %v), want %+v", got, ok, err, want)
		}
		if _, ok, err := v.Keyed(second); ok || err != nil {
			t.Errorf("the second is kept too (%v)", err)
		}
		if _, ok := v.NewKeyed(sum); ok {
			t.Error("it is new in the next transaction too")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
