package job_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"handoff/services/api/internal/job"
	"handoff/shared/event"
)

// After a redrive a message of the generation before does not have the task done: the record that ended it has it skipped.
func TestAMessageOfAnOlderGenerationIsNotTheTasks(t *testing.T) {
	t.Parallel()
	lost := job.Task{Service: "mailer", Name: "welcome-email", State: event.Queued, Generation: 1, Entry: 5}
	waiting := lost
	waiting.Message = 9
	for name, c := range map[string]struct {
		task       job.Task
		sequence   uint64
		generation int
		want       uint64
	}{
		"its own":                          {lost, 9, 1, 9},
		"the older, its own is lost":       {lost, 3, 0, 0},
		"the older, read again":            {waiting, 3, 0, 9},
		"its own, read again":              {waiting, 9, 1, 9},
		"its own, published a second time": {waiting, 12, 1, 12},
		"the older, published after it":    {waiting, 12, 0, 12}, // its record must outlast that one, too
	} {
		got, news := job.Asked(c.task, c.sequence, c.generation)
		if got.Message != c.want || news != (c.want != c.task.Message) || got.State != event.Queued || got.Generation != 1 {
			t.Errorf("%s: %+v, news %t, want message %d", name, got, news, c.want)
		}
	}
	nobodys := job.Task{Service: "florist", State: event.Dead, Entry: 5, Message: 3}
	if got, _ := job.Asked(nobodys, 9, 1); got.State != event.Dead || got.Message != 9 {
		t.Errorf("what no service does is %+v once it is asked for again", got)
	}
}

// read is one thing that was read of a task: a message, or a record.
type read struct {
	sequence   uint64
	generation int
	record     *job.Seen
}

func (r *read) into(t job.Task) job.Task {
	if r.record != nil {
		t, _ = job.Fold(t, *r.record)
		return t
	}
	t, _ = job.Asked(t, r.sequence, r.generation)
	return t
}

// Whatever clicks, messages and records there were, and however late each is read: the task stands where the last generation does, and
// nothing of an earlier one moves it.
func TestATaskStandsInItsLastGeneration(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		records := history(t)
		highest := records[len(records)-1].Record.Generation + rapid.IntRange(0, 1).Draw(t, "clicks that nobody has heard of")
		var messages []read // in the order of the stream
		for g, seq := 0, uint64(8); g <= highest; g++ {
			for range rapid.IntRange(1, 2).Draw(t, "times") { // one that is reissued is there twice
				messages = append(messages, read{sequence: seq, generation: g})
				seq += uint64(rapid.IntRange(1, 3).Draw(t, "others"))
			}
		}
		if again := rapid.IntRange(0, len(messages)-1).Draw(t, "read again from"); again > 0 {
			messages = append(messages[:len(messages):len(messages)], messages[again:]...)
		}
		task := queued()
		var order []read
		for _, s := range shuffled(t, records) {
			for len(messages) > 0 && rapid.Bool().Draw(t, "a message first") {
				order, messages = append(order, messages[0]), messages[1:]
			}
			order = append(order, read{record: &s})
		}
		for _, r := range append(order, messages...) {
			before := task
			task = r.into(task)
			if task.Generation < before.Generation {
				t.Fatalf("%+v fell to %+v", before, task)
			}
			if r.record != nil && r.record.Record.Generation < before.Generation && !reflect.DeepEqual(task, before) {
				t.Fatalf("a record of an earlier generation made %+v of %+v", task, before)
			}
			if r.record == nil && r.generation <= before.Generation && (task.State != before.State || task.Attempt != before.Attempt) {
				t.Fatalf("a message of generation %d made %+v of %+v", r.generation, task, before)
			}
		}
		last := records[len(records)-1].Record
		switch {
		case task.Generation != highest:
			t.Fatalf("at the end it is at %d, want %d", task.Generation, highest)
		case last.Generation < highest && (task.State != event.Queued || task.Error != "" || task.Ended != nil):
			t.Fatalf("nobody has begun generation %d, and yet it is %+v", highest, task)
		case last.Generation == highest && task.State != last.State:
			t.Fatalf("at the end it is %s, want %s", task.State, last.State)
		case task.Generation > 0 && task.Message == 0:
			t.Fatal("no message of it is known")
		}
	})
}

func TestDeadSelects(t *testing.T) {
	t.Parallel()
	at := start()
	j := &job.Job{Type: event.UserCreated, Tasks: []job.Task{
		{Service: "mailer", Name: "welcome-email", State: event.Dead, Error: "550 No such User", Ended: &at},
		{Service: "notifier", Name: "welcome-notice", State: event.Succeeded, Ended: &at},
	}}
	for name, c := range map[string]struct {
		which job.Dead
		want  int
	}{
		"all":                 {job.Dead{}, 1},
		"service":             {job.Dead{Service: "mailer"}, 1},
		"one that succeeded":  {job.Dead{Service: "notifier"}, 0},
		"task":                {job.Dead{Task: "welcome-email"}, 1},
		"another task":        {job.Dead{Task: "welcome-notice"}, 0},
		"type":                {job.Dead{Type: event.UserCreated}, 1},
		"another type":        {job.Dead{Type: event.ImageRequested}, 0},
		"error in other case": {job.Dead{Error: "no such user"}, 1},
		"another error":       {job.Dead{Error: "timeout"}, 0},
		"from then":           {job.Dead{From: at}, 1},
		"from later":          {job.Dead{From: at.Add(1)}, 0},
		"until then":          {job.Dead{Until: at}, 0},
		"until later":         {job.Dead{From: at, Until: at.Add(1)}, 1},
	} {
		if got := c.which.Count(j); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		if got := (job.Query{Dead: &c.which}).Selects(j); got != (c.want > 0) {
			t.Errorf("%s: a query says %t", name, got)
		}
	}
	j.Tasks[0].Ended = nil
	if (&job.Dead{From: at}).Count(j) != 0 || new(job.Dead).Count(j) != 1 {
		t.Error("one whose end has no time lies in a span of time")
	}
}
