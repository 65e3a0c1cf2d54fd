package projection_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/projection"
	"handoff/shared/stream"
)

// full is a store without room for the first that each reader has, which it says only once more has come than a reader takes at once.
type full struct {
	projection.Writer
	r     *rig
	once  sync.Once
	fails atomic.Int32 // left
}

func (f *full) Do(do func(*commit.View) error) error {
	f.once.Do(func() {
		var last uint64
		same := 0
		f.r.eventually("more has come than is taken at once, and no more comes", func() error {
			n, err := f.r.delivered()
			if same++; n != last {
				last, same = n, 0
			}
			if err == nil && (n < 1500 || same < 50) {
				err = fmt.Errorf("%d messages, unchanged %d times", n, same)
			}
			return err
		})
	})
	if f.fails.Add(-1) >= 0 {
		return errors.New("no space left")
	}
	return f.Writer.Do(do)
}

func (r *rig) eventually(what string, holds func() error) {
	r.t.Helper()
	var err error
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if err = holds(); err == nil {
			return
		}
	}
	r.t.Errorf("%s: still not: %v", what, err)
}

// delivered is how many messages the readers of USERS were given.
func (r *rig) delivered() (n uint64, err error) {
	s, err := r.js.Stream(r.t.Context(), stream.Users)
	if err != nil {
		return 0, err
	}
	list := s.ListConsumers(r.t.Context())
	for c := range list.Info() {
		if strings.HasPrefix(c.Name, "api-") {
			n += c.Delivered.Consumer
		}
	}
	return n, list.Err()
}

// A reader whose store fails while more has come than it takes at once begins again.
func TestAReaderWithABacklogOutlivesAFailedWrite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 4000
	for i := range n {
		data, err := r.userCreated(fmt.Sprintf("job-%d", i), fmt.Sprintf("a%d@example.com", i), "mailer").Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.js.PublishAsync("user.created", data); err != nil {
			t.Fatal(err)
		}
	}
	<-r.js.PublishAsyncComplete()
	w := &full{Writer: r.writer, r: r}
	w.fails.Store(20) // there are eight readers
	r.startOver(w)
	r.eventually("the last job is known", func() error {
		_, err := r.store.Job(fmt.Sprintf("job-%d", n-1))
		return err
	})
}
