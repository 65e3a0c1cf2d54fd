package commit

import (
	"time"

	"handoff/services/api/internal/job"
	"handoff/services/api/internal/user"
)

// An Accept is a row of the log: one accepted event, as the bytes that are published.
type Accept struct {
	Key     uint64
	Stream  string
	Subject string
	Job     string
	Data    []byte
	Read    bool // it was read from the stream, so nobody needs to publish it
}

// An Entry is an internal message that waits for the relay, such as a dead letter.
type Entry struct {
	Key     uint64            `json:"key"`
	Stream  string            `json:"stream"`
	Subject string            `json:"subject"`
	MsgID   string            `json:"msg_id"` // its Nats-Msg-Id, used for no other message
	Header  map[string]string `json:"header,omitempty"`
	Job     string            `json:"job,omitempty"` // empty for one that is about no job
	Data    []byte            `json:"data"`
}

// An Orphan is a record that was read before its job.
type Orphan struct {
	Job     string
	Service string
	Seen    job.Seen
}

// A Mark is how far a stream is known to have come: a stream that was made at another time, or ends below it, has lost something.
type Mark struct {
	Created time.Time `json:"created"` // when the stream was made
	Highest uint64    `json:"highest"` // sequence that was acknowledged or read
}

// Changes is what one transaction writes.
type Changes struct {
	Accepts   []Accept
	Entries   []Entry
	Left      []uint64 // keys of entries that have been published
	Jobs      map[string]*job.Job
	Users     []user.User
	Orphans   []Orphan
	Adopted   []string             // jobs whose orphans have been joined
	Dropped   []Orphan             // those of no use any more, unless they have been replaced since
	Positions map[string]uint64    // by stream: all accepts up to this key are in it
	Cursors   map[string]time.Time // by stream: read up to this server time; zero for nothing
	Marks     map[string]Mark      // by stream
	Settled   []uint64             // keys of jobs of which nothing is left to watch in a stream; see [View.Settle]
	Returned  []uint64             // keys of jobs that were off the window and have not ended any more
	Pruned    []*job.Job           // jobs that leave the store
	Met       bool                 // the store has met its NATS
	StoreID   string               // the store's id, if it is new
	Start     uint64               // the file's start number, if it is raised
	LastKey   uint64               // highest log key given out
	Keyed     []Keyed              // requests that came with an Idempotency-Key, in the order of their log keys
	Raised    bool                 // LastKey is above one that was found in NATS, whatever else there is to write
}

func (c *Changes) empty() bool {
	return len(c.Accepts) == 0 && len(c.Entries) == 0 && len(c.Left) == 0 && len(c.Jobs) == 0 && len(c.Users) == 0 &&
		len(c.Orphans) == 0 && len(c.Adopted) == 0 && len(c.Dropped) == 0 && len(c.Positions) == 0 && len(c.Cursors) == 0 &&
		len(c.Marks) == 0 && len(c.Settled) == 0 && len(c.Pruned) == 0 && len(c.Keyed) == 0 && !c.Met && c.StoreID == "" && c.Start == 0 && !c.Raised
}

// A Store keeps what the committer writes. Reads see the last committed transaction.
type Store interface {
	Job(id string) (*job.Job, error)                    // job.ErrNotFound
	User(id string) (user.User, error)                  // user.ErrNotFound
	UserByKey(key uint64) (user.User, error)            // user.ErrNotFound
	Accepted(stream string, key uint64) (Accept, error) // job.ErrNotFound
	OrphansOf(jobID string) ([]Orphan, error)           // those read before their job
	Position(stream string) (uint64, error)             // all accepts up to this key are in it
	Mark(stream string) (Mark, error)                   // zero for a stream that was never seen
	EntryWaits(key uint64) (bool, error)                // an entry that has not been published
	Keyed(key uint64) (Keyed, bool, error)              // the request that is kept under a log key
	OnWindow(key uint64) (bool, error)                  // the job with a log key has not been settled; see [View.Settle]
	Commit(c *Changes) error                            // all or nothing, on disk when it returns
}
