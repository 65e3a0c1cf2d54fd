package model

// What there is at most: services, workers of each, messages in the stream at one time.
const (
	services = 2
	workers  = 2
	room     = 6
)

// TaskState is what a record or the api says of a task. No record, and a task that nobody has begun, are Queued.
type TaskState uint8

// The states of a task.
const (
	Queued TaskState = iota
	Running
	Retrying
	Succeeded
	Dead
	Cancelled
)

func (t TaskState) ended() bool { return t >= Succeeded }

// Delivery is how far the consumer of a service has come with a message.
type Delivery uint8

// A message that is not acknowledged waits, or is in the hands of a worker.
const (
	Waits Delivery = iota
	InHands
	Acked
)

// Message is the event, which is for everyone, or an entry for one service.
type Message struct {
	For uint8 // 0: everyone, else the service, counted from 1
	Gen uint8
	At  [services]Delivery
}

func (m Message) addresses(v int) bool { return m.For == 0 || m.For == uint8(v+1) }

// Stream is the work stream. Its first Hidden messages are purged, but a power loss may still undo that.
type Stream struct {
	Exists               bool
	Epoch                uint8 // which creation this is
	First, Count, Hidden uint8
	Msgs                 [room]Message
	Ids                  uint8 // message ids in the duplicate window: bit 0 the event, bit 1+v the entry of v
}

func (s *Stream) low() uint8  { return s.First + s.Hidden }
func (s *Stream) last() uint8 { return s.First + s.Count - 1 }

// Record is what a service says of its task. Its holder is a worker, counted from 1, or nobody.
type Record struct {
	State              TaskState
	Gen, Claim, Holder uint8
}

const nobody = 7

// Step is what a worker is at.
type Step uint8

// A worker that Awaits has claimed in a bucket without _open, and has not begun.
const (
	Idle Step = iota
	Awaits
	Begun
	Effected
	Recorded
)

// Seen is what a worker knows of its bucket's _open.
type Seen uint8

// After a connect nothing is known; a bucket made anew shows by the revisions of its records.
const (
	NotLooked Seen = iota
	Looked
	MadeAnew
)

// Worker is one slot of a service, with the delivery in its hands.
type Worker struct {
	At              Step
	Seq, Gen, Claim uint8
	Open            Seen
}

func (w Worker) holds() bool { return w.At >= Awaits && w.At <= Effected }
func (w Worker) begun() bool { return w.At == Begun || w.At == Effected }

// Entry is the newest entry of a task: internal, waiting in api.db for the relay.
type Entry uint8

// An entry that is Sent, but whose position is not stored, waits again after a crash of the api.
const (
	NoEntry Entry = iota
	Pending
	Sent
	Stored
)

// Task is what api.db knows of a task.
type Task struct {
	State      TaskState
	Gen, Claim uint8
	Message    uint8 // sequence of the newest message that addresses it, 0 for none
	OnDisk     uint8 // the same, as stored with the mark
	Entry      Entry
	Unread     bool // the record has changed since the projection read it
	CancelDue  bool // a cancel is to be written into the bucket
}

// Truth is what only an onlooker knows. Generations are counted from 1 here.
type Truth struct {
	Effect, Ended uint8 // the highest generation with an effect, and with a recorded end
	Asked         uint8 // the generation that users have asked for
	Window        bool  // inside one of the named windows an effect may happen again
	Reissued      uint8 // by the sweep, since the last fault
}

// Service is everything that there is once for each service.
type Service struct {
	Bucket, Open bool // whether they exist
	Short        bool // the bucket's last sequence is below its mark
	Lost         bool // reconcile knows that the bucket has lost data
	Down         bool
	Delivered    uint8
	Record       Record
	Workers      [workers]Worker
	Task         Task
	Truth        Truth
}

// Phase is where reconcile is.
type Phase uint8

// The relay goes in Ready only. The others are the steps of reconcile, in their order.
const (
	Ready Phase = iota
	Look
	Create
	Overwrite
	WriteOpen
	CatchUp
	Reissue
)

// Mark is the highest sequence acknowledged or read, of one creation of the stream.
type Mark struct{ Epoch, Seq uint8 }

// API is api.db and what the api has in memory.
type API struct {
	Accepted, Known       bool // a client was answered; the job is in api.db
	Relayed, RelayedDisk  bool // the position is above the accept
	Mark, MarkDisk        Mark
	Read                  uint8 // sequence that the projection has read
	Phase                 Phase
	Lost                  bool // the stream has lost data
	Again                 bool // a loss showed while reconcile ran
	Fresh, Judge          bool // api.db is rebuilt; a job came out of a stream
	HasLeft, Excused      bool // onlooker: it ended and left api.db; it falls under a named exception
	Away                  bool // NATS can't be reached
	Faults                [2]Fault
	Fails, Deads, Cancels uint8 // what may still happen
	Redrives, Stragglers  uint8
	Stops                 uint8
	Broke                 Property
}

// State is one state of the whole. It is comparable and has no pointers.
type State struct {
	Stream Stream
	API    API
	Svc    [services]Service
}

// said orders what is said of a task: generation, ended, claim, rank.
func said(t TaskState, gen, claim uint8) int {
	ended, rank := 0, int(t)
	if t.ended() {
		ended, rank = 1, 3
	}
	return int(gen)<<8 | ended<<7 | int(claim)<<4 | rank
}

func (r Record) said() int { return said(r.State, r.Gen, r.Claim) }
func (t Task) said() int   { return said(t.State, t.Gen, t.Claim) }

// inStream says whether api.db believes that the newest message of v's task is in the stream.
func (s *State) inStream(v int) bool {
	m := s.Svc[v].Task.Message
	return m != 0 && m >= s.Stream.low()
}

// hidden says whether a message of v's task is purged, but may come back.
func (s *State) hidden(v int) bool {
	for _, msg := range s.Stream.Msgs[:s.Stream.Hidden] {
		if msg.addresses(v) {
			return true
		}
	}
	return false
}

// living says whether the holder of v's record still works on it.
func (s *State) living(v int) bool {
	r := &s.Svc[v].Record
	return r.State == Running && r.Holder != 0 && r.Holder != nobody && s.Svc[v].Workers[r.Holder-1].holds()
}

func (s *State) missing(asked int) bool {
	for v := range asked {
		if !s.Svc[v].Bucket {
			return true
		}
	}
	return !s.Stream.Exists
}

// open says whether every bucket has its _open.
func (s *State) open(asked int) bool {
	for v := range asked {
		if !s.Svc[v].Open {
			return false
		}
	}
	return true
}

// unended says whether a task of the job has not ended, as the api sees it.
func (s *State) unended(asked int) bool {
	for v := range asked {
		if !s.Svc[v].Task.State.ended() {
			return true
		}
	}
	return false
}

// write puts a record. Whether that is allowed was decided before, by compare-and-set.
func (s *State) write(v int, r Record) {
	x := &s.Svc[v]
	x.Record, x.Short, x.Task.Unread = r, false, true
	if r.State.ended() {
		x.Truth.Ended = max(x.Truth.Ended, r.Gen+1)
	}
}

// known writes a record of which the api knows, since it wrote it.
func (s *State) known(v int, t Task) {
	r := Record{State: t.State, Gen: t.Gen, Claim: max(t.Claim, s.Svc[v].Record.Claim)}
	if !t.State.ended() {
		r.State, r.Holder = Retrying, 0
		r.Claim = max(r.Claim, 1)
	}
	s.write(v, r)
	s.Svc[v].Task.Unread = false
}
