package lease

import (
	"time"

	"handoff/services/api/internal/commit"
)

// A Record is the lease as it stands in NATS.
type Record struct {
	Store string `json:"store"`
	File  string `json:"file"`
	Start uint64 `json:"start"`           // the file's start number
	Token string `json:"token,omitempty"` // of the process; empty when it was given back

	// Behind says that the file did not know yet what others had done while they held the lease.
	Behind bool `json:"behind,omitempty"`
}

// An Action is what to do about the lease.
type Action int

// The actions there are.
const (
	// StandBy leaves it to another.
	StandBy Action = iota
	// Found claims it for a new store, with an id that is made now.
	Found
	// Adopt gives our store the id Decision.Store, and looks again.
	Adopt
	// Keep writes it again.
	Keep
	// Claim takes it: it is free, ours, or nobody's any more.
	Claim
	// Refuse leaves everything alone: this NATS belongs to the store Decision.Store.
	Refuse
)

func (a Action) String() string {
	return [...]string{"stand by", "found", "adopt", "keep", "claim", "refuse"}[a]
}

// An Input is everything that a decision depends on.
type Input struct {
	Me       commit.Identity
	Token    string // this process's; a new one after every loss
	Owner    string // the store that the streams say they belong to; empty when they say nothing
	Found    *Record
	Held     bool          // this process has held the lease, so it is no old copy and no restart
	Valid    bool          // it holds it, and wrote so short a while ago that nobody can have taken it over
	Seen     bool          // what it found last was another's
	Ahead    uint64        // the highest start number that it has found of its own file
	Still    time.Duration // how long what was found has not moved, by our own clock, connected all the while
	TakeOver time.Duration // after how long of that it is nobody's any more
}

// A Decision is an Action with what it needs.
type Decision struct {
	Action Action
	Store  string
	Old    bool // our file is an old copy of the one that holds, or held, the lease
	Behind bool // of Claim: others have held the lease since our file knew, and it has to learn first what they did
}

// Decide is the one rule by which a store is held.
func Decide(in Input) Decision {
	found := in.Found
	old := in.behind()
	switch {
	case in.Me.Store == "" && in.Owner != "":
		return Decision{Action: Adopt, Store: in.Owner}
	case in.Me.Store == "" && found != nil && found.Store != "":
		return Decision{Action: Adopt, Store: found.Store}
	case in.Me.Store == "":
		return Decision{Action: Found}
	case in.Owner != "" && in.Owner != in.Me.Store:
		return Decision{Action: Refuse, Store: in.Owner}
	case in.Owner == "" && found != nil && found.Store != in.Me.Store:
		return Decision{Action: Refuse, Store: found.Store}
	case found == nil && (in.Valid || in.Owner == "" && !in.Seen): // it was lost, or there has never been one
		return Decision{Action: Claim, Old: old}
	case found != nil && found.Token == in.Token:
		return Decision{Action: Keep, Old: old}
	case found != nil && found.Token == "", in.restarted(), in.Still >= in.TakeOver:
		return Decision{Action: Claim, Old: old, Behind: in.others()}
	}
	return Decision{Action: StandBy, Old: old}
}

// behind reports whether the file was started more often than this one knows of.
func (in *Input) behind() bool { return !in.Held && in.Me.Start < max(in.Ahead, in.ofOurFile()) }

// others reports whether others may have held the lease since this process or an earlier one on our file did.
func (in *Input) others() bool {
	return in.Found == nil || in.Held || in.Found.File != in.Me.File || in.Found.Behind
}

// ofOurFile gives the start number in the lease, if that is of our file.
func (in *Input) ofOurFile() uint64 {
	if in.Found == nil || in.Found.File != in.Me.File {
		return 0
	}
	return in.Found.Start
}

// restarted reports whether the lease is of an earlier process on the same file: the file's lock says that it is gone. A process
// that has held the lease itself is not what was restarted: it has been replaced.
func (in *Input) restarted() bool {
	return in.Found != nil && in.Found.File == in.Me.File && !in.Held && !in.behind()
}
