package projection

import (
	"fmt"
	"strconv"
	"strings"

	"handoff/services/api/internal/commit"
	"handoff/services/api/internal/job"
	"handoff/shared/event"
	"handoff/shared/stream"
)

// AddDeadLetter has the relay copy a dead task's event to DEAD.
func AddDeadLetter(v *commit.View, j *job.Job, t *job.Task, data []byte) {
	v.AddEntry(commit.Entry{
		Stream: stream.Dead, Subject: stream.DeadSubject(t.Service, string(j.Type)),
		MsgID:  fmt.Sprintf("%s.%s.%d.dead", j.ID, t.Service, t.Generation),
		Header: deadHeader(t.Attempt, t.Error), Job: j.ID, Data: data,
	})
}

// deadHeader keeps a header of one line: an error may hold line breaks, a header value must not.
func deadHeader(attempts int, why string) map[string]string {
	line := strings.Join(strings.Fields(event.Cut(why, event.MaxError)), " ")
	return map[string]string{stream.HeaderAttempts: strconv.Itoa(attempts), stream.HeaderError: line}
}
