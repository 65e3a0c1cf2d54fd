package model

// Bounds are what one run looks at.
type Bounds struct {
	Asked   int // services that the job asks for, 1 or 2
	Workers int // of each service, 1 or 2
	// First and Then are the faults that may happen: one of First, then one of Then. Either may be empty.
	First, Then []Fault
	// How often a handler fails, fails for good; the user cancels, redrives; trim reissues stragglers; a service is
	// stopped for long.
	Fails, Deads, Cancels, Redrives, Stragglers, Stops uint8
	// NoSweep leaves the sweep out: then what it would heal shows.
	NoSweep bool
}

// Broken has a switch for each rule of the protocol that a test takes away. The zero value is the protocol.
type Broken struct {
	ClaimWithoutCompare     bool // a claim is written whoever holds the record
	AckBeforeRecord         bool // a message is acknowledged with the claim
	NoPutBack               bool // a holder leaves its missing record alone
	OpenNotAwaited          bool // claims begin in a bucket without _open
	WaitingClaimHolds       bool // a claim that waits for _open displaces one that has begun
	RelayEnded              bool // the relay publishes what has ended
	RelayEarly              bool // the relay goes before reconcile has passed
	PubAckProvesNothing     bool // a sequence not above the mark is not looked at
	PurgeAboveLowest        bool // the stream is purged above the lowest message of an unended task
	PurgeRecordOfMessage    bool // a bucket is purged while its message is in the stream
	PurgeRecordSoon         bool // a bucket is purged while a power loss can undo the stream's purge
	PurgeRecordUnrelayed    bool // a bucket is purged of a task whose event may be published again
	MessageGoesBack         bool // a task's message is whatever was read or acknowledged last, not the highest
	OverwriteRunning        bool // reconcile overwrites a running record of the same generation
	ForgetFirst             bool // lost messages are forgotten before the stream is read, not with the reissue
	OlderCounts             bool // a message of an older generation counts as the task's, whatever that waits for
	EndHoldsNothing         bool // what ends without a message holds no record, whatever is left in the stream
	JobLeavesSoon           bool // a job leaves api.db while a power loss can undo the purge of its message
	WriteBackUnread         bool // reconcile writes records before the stream was read to its end
	WriteBackNoPurged       bool // reconcile writes no record for a message whose purge a power loss can undo
	OpenBeforeRecords       bool // reconcile writes _open first
	CreateOnly              bool // reconcile leaves records alone that say less
	AcceptBeforeRead        bool // a rebuilt api accepts at once
	RebuiltUnended          bool // tasks of a rebuilt job that no message addresses are taken for unended
	ReissueUnrelayed        bool // what has an entry that was not relayed is reissued
	ReissueWaiting          bool // the sweep reissues what the consumer has not delivered
	LaterEndWins            bool // of two ends of one generation the one read last stands
	EndIsNotFinal           bool // whatever is read replaces what is known, at its generation
	LostMessagesKept        bool // tasks keep messages that the stream has lost
	RedriveAtSameGeneration bool // a redrive does not raise the generation
}

// Property is what must hold.
type Property uint8

// The properties. NotEnded is checked when all states are known, the others as steps are taken.
const (
	Holds    Property = iota
	NotEnded          // an accepted job is lost or stuck: fair steps do not lead to its end
	Twice             // an effect happens again in its generation, outside the named windows
	Back              // what the api shows goes back within a generation
	Rises             // what has ended, and perhaps was trimmed, begins again
	Endless           // reissues or messages without bound
)

func (p Property) String() string {
	return [...]string{"holds", "not ended", "twice", "back", "rises", "endless"}[p]
}

// Fault is one thing that goes wrong.
type Fault uint8

// The faults.
const (
	NoFault Fault = iota
	WorkerCrash
	APICrash
	PowerLoss  // NATS lost its newest writes, of stream and buckets
	TailLost   // the stream alone was put back to an older state
	StreamLost // with its consumers
	BucketLost
	DBLost // api.db is deleted, and rebuilt
	NATSAway
)

func (f Fault) String() string {
	return [...]string{"none", "worker crash", "api crash", "power loss", "tail lost", "stream lost", "bucket lost", "api.db lost", "NATS away"}[f]
}

// emit takes a step that is possible. A fair one happens in the end when it stays possible.
type emit func(what string, who int, fair bool, to State)

type model struct {
	Bounds
	Broken
}

func (m *model) start() State {
	var s State
	s.Stream = Stream{Exists: true, Epoch: 1, First: 1}
	s.API = API{Mark: Mark{1, 0}, MarkDisk: Mark{1, 0}, Fails: m.Fails, Deads: m.Deads, Cancels: m.Cancels, Redrives: m.Redrives,
		Stragglers: m.Stragglers, Stops: m.Stops}
	for v := range m.Asked {
		s.Svc[v].Bucket, s.Svc[v].Open = true, true
		s.Svc[v].Truth.Asked = 1
	}
	return s
}

// next takes every step that s has. Parts that need NATS take none while it is away.
func (m *model) next(s State, take emit) {
	do := func(what string, who int, fair bool, to State) {
		m.tidy(&to)
		take(what, who, fair, to)
	}
	m.accept(s, do)
	m.users(s, do)
	m.faults(s, do)
	for v := range m.Asked {
		m.service(s, v, do)
	}
	if s.API.Away {
		t := s
		t.reconnect()
		t.redeliver()
		t.API.Away = false
		do("NATS comes back", -1, true, t)
		return
	}
	m.relay(s, do)
	m.projection(s, do)
	m.cancels(s, do)
	m.reconcile(s, do)
	m.sweep(s, do)
	m.trim(s, do)
}

// done says whether the job has come to its end, for users and in its buckets.
func (m *model) done(s *State) bool {
	a := &s.API
	if a.Excused {
		return true
	}
	if !a.Accepted || !a.Known && !a.HasLeft {
		return false
	}
	for v := range m.Asked {
		x := &s.Svc[v]
		if x.Truth.Ended < x.Truth.Asked || x.Task.CancelDue {
			return false
		}
		if a.Known && (!x.Task.State.ended() || x.Task.Gen+1 < x.Truth.Asked) {
			return false
		}
	}
	return true
}
