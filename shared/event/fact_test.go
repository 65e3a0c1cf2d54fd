package event_test

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"handoff/shared/event"
)

func goldenFacts() map[string]*event.UserFacts {
	return map[string]*event.UserFacts{
		"users": {Users: []event.UserFact{
			{ID: user, Key: 1773501026123456, Email: "ada@example.com", Username: "Ada & Zoë <ü>", Created: at(26), JobID: job},
			{ID: "by-hand", Key: 1773501026123457, Email: "grace@example.com", Username: "grace", Created: at(27), JobID: "by-hand-1"},
		}},
		"least": {Users: []event.UserFact{{ID: user, Key: 1, Email: "ada@example.com", Username: "ada", Created: at(26)}}},
		"none":  {Users: []event.UserFact{}},
	}
}

func TestGoldenFacts(t *testing.T) {
	t.Parallel()
	for name, facts := range goldenFacts() {
		data, err := facts.Encode()
		if err != nil {
			t.Fatal(err)
		}
		want := golden(t, "fact", name, data)
		if !bytes.Equal(data, want) {
			t.Errorf("%s is\n%s\nwant\n%s", name, data, want)
		}
		back, err := event.DecodeUserFacts(want)
		if err != nil || !reflect.DeepEqual(back, facts) {
			t.Errorf("%s is read as %+v, %v", name, back, err)
		}
		packed, n, err := event.PackUserFacts(facts.Users, event.MaxFacts)
		if err != nil || n != len(facts.Users) || !bytes.Equal(packed, want) {
			t.Errorf("%s is packed as\n%s\n%d of %d, %v", name, packed, n, len(facts.Users), err)
		}
	}
}

func TestFactsOfANewerBinary(t *testing.T) {
	t.Parallel()
	facts, err := event.DecodeUserFacts(read(t, "fact", "newer"))
	if err != nil || len(facts.Users) != 1 || facts.Users[0].Email != "ada@example.com" || facts.Users[0].Validate() != nil {
		t.Errorf("%+v, %v", facts, err)
	}
}

func TestFactIsValidated(t *testing.T) {
	t.Parallel()
	good := event.UserFact{ID: user, Key: 1, Email: "ada@example.com"}
	if err := good.Validate(); err != nil {
		t.Errorf("a good one: %v", err)
	}
	for name, spoil := range map[string]func(*event.UserFact){
		"no id":     func(f *event.UserFact) { f.ID = "" },
		"no key":    func(f *event.UserFact) { f.Key = 0 },
		"far key":   func(f *event.UserFact) { f.Key = event.MaxFactKey + 1 },
		"no e-mail": func(f *event.UserFact) { f.Email = "" },
		"bad job":   func(f *event.UserFact) { f.JobID = "a b" },
	} {
		f := good
		spoil(&f)
		if f.Validate() == nil {
			t.Errorf("%s: %+v passes", name, f)
		}
	}
}

// Packed again and again, every fact that fits at all is in one message, in order, and no message is too large.
func TestPackedFactsAreWholeAndSmall(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var facts []event.UserFact
		for i := range rapid.IntRange(0, 20).Draw(t, "users") {
			facts = append(facts, event.UserFact{
				ID: user, Key: uint64(i + 1), Email: rapid.String().Draw(t, "email"), Username: rapid.StringN(0, 300, -1).Draw(t, "username"), Created: at(i),
			})
		}
		limit := rapid.IntRange(0, 2000).Draw(t, "limit")
		var read []uint64
		for rest := facts; len(rest) > 0; {
			data, n, err := event.PackUserFacts(rest, limit)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				if alone, _, _ := event.PackUserFacts(rest[:1], event.MaxFacts); len(alone) <= limit-1 {
					t.Fatalf("a message of %d bytes does not fit into %d", len(alone), limit)
				}
				read, rest = append(read, rest[0].Key), rest[1:]
				continue
			}
			back, err := event.DecodeUserFacts(data)
			if err != nil || len(data) > limit || len(back.Users) != n {
				t.Fatalf("%d bytes of at most %d with %d users of %d: %v", len(data), limit, len(back.Users), n, err)
			}
			for i := range back.Users {
				read = append(read, back.Users[i].Key)
			}
			rest = rest[n:]
		}
		for i, key := range read {
			if key != uint64(i+1) {
				t.Fatalf("read %v", read)
			}
		}
		if len(read) != len(facts) {
			t.Fatalf("%d read of %d", len(read), len(facts))
		}
	})
}

func FuzzDecodeUserFacts(f *testing.F) {
	seed(f, "fact/*.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, err := event.DecodeUserFacts(b)
		if err != nil {
			if facts != nil {
				t.Fatalf("%+v, %v", facts, err)
			}
			return
		}
		stable(t, facts, event.DecodeUserFacts)
		if _, _, err := event.PackUserFacts(facts.Users, len(b)); err != nil {
			t.Fatal(err)
		}
	})
}
