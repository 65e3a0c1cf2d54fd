package event_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"handoff/shared/event"
)

func seed(f *testing.F, pattern string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		f.Fatalf("no files %s: %v", pattern, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// stable encodes, decodes and encodes again: what was read once reads the same for ever.
func stable[T interface{ Encode() ([]byte, error) }](t *testing.T, v T, decode func([]byte) (T, error)) {
	t.Helper()
	first, err := v.Encode()
	if err != nil {
		t.Fatalf("encode what was decoded: %v", err)
	}
	back, err := decode(first)
	if err != nil {
		t.Fatalf("decode %s: %v", first, err)
	}
	second, err := back.Encode()
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("first\n%s\nthen\n%s\n%v", first, second, err)
	}
}

func FuzzDecode(f *testing.F) {
	seed(f, "event/*.json")
	seed(f, "old/event*.json")
	f.Add([]byte(valid))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := event.Decode(b)
		if err != nil {
			if !errors.Is(err, event.ErrUndecodable) || e != nil {
				t.Fatalf("%v, %v", e, err)
			}
			return
		}
		stable(t, e, event.Decode)
		again(t, e, event.DecodeData[event.UserCreatedData])
		again(t, e, event.DecodeData[event.ImageRequestedData])
		again(t, e, event.DecodeData[event.TaskRequestedData])
		again(t, e, event.DecodeData[event.JobFinishedData])
	})
}

func FuzzDecodeData(f *testing.F) {
	for _, data := range []string{
		`{"user_id":"u","email":"e","username":"n","locale":"de"}`, `{"duration_ms":3600000}`, `{"job_id":"j","callback_url":"u","tasks":[{"service":"a","result":[1]}]}`,
		`{"image_url":"u","operations":["a",{"name":"b"},{"name":"c","x":"<\u2028>"}]}`, `{"image_url":"u","operations":[null]}`,
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again(t, &event.Envelope{Type: event.UserCreated, Data: b}, event.DecodeData[event.UserCreatedData])
		again(t, &event.Envelope{Type: event.ImageRequested, Data: b}, event.DecodeData[event.ImageRequestedData])
		again(t, &event.Envelope{Type: event.TaskRequested, Data: b}, event.DecodeData[event.TaskRequestedData])
		again(t, &event.Envelope{Type: event.JobFinished, Data: b}, event.DecodeData[event.JobFinishedData])
	})
}

// again makes a new event of a payload that could be read: the far side reads the same, byte for byte from then on.
func again[P event.Payload](t *testing.T, e *event.Envelope, decode func(*event.Envelope) (P, error)) {
	t.Helper()
	p, err := decode(e)
	if err != nil {
		if !errors.Is(err, event.ErrUndecodable) {
			t.Fatal(err)
		}
		return
	}
	first, err := event.New("j", at(1), p)
	if err != nil {
		t.Fatal(err)
	}
	read, err := decode(first)
	if err != nil {
		t.Fatalf("decode %s: %v", first.Data, err)
	}
	second, err := event.New("j", at(1), read)
	if err != nil || !bytes.Equal(first.Data, second.Data) {
		t.Fatalf("first\n%s\nthen\n%s\n%v", first.Data, second.Data, err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	seed(f, "record/*.json")
	seed(f, "old/record*.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := event.DecodeRecord(b)
		if err != nil {
			if r != nil {
				t.Fatalf("%+v, %v", r, err)
			}
			return
		}
		stable(t, r, event.DecodeRecord)
		steps := len(r.Steps)
		r.AddStep(at(1), string(b))
		if want := min(steps+1, event.MaxSteps); len(r.Steps) != want {
			t.Fatalf("%d steps after %d", len(r.Steps), steps)
		}
		stable(t, r, event.DecodeRecord)
	})
}
