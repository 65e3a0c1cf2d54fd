package bolt

import (
	"bytes"
	"errors"

	"handoff/services/api/internal/commit"
)

// An accept is stored as: a byte that says whether it was read from its stream, subject, NUL, job's id, NUL, the event.

func encodeAccept(a *commit.Accept) []byte {
	b := make([]byte, 0, 1+len(a.Subject)+1+len(a.Job)+1+len(a.Data))
	read := byte(0)
	if a.Read {
		read = 1
	}
	b = append(b, read)
	b = append(append(b, a.Subject...), 0)
	b = append(append(b, a.Job...), 0)
	return append(b, a.Data...)
}

func decodeAccept(stream string, k, v []byte) (commit.Accept, error) {
	if len(v) == 0 {
		return commit.Accept{}, errors.New("read an accept from the store: empty row")
	}
	subject, rest, ok := bytes.Cut(v[1:], []byte{0})
	jobID, data, ok2 := bytes.Cut(rest, []byte{0})
	if !ok || !ok2 {
		return commit.Accept{}, errors.New("read an accept from the store: broken row")
	}
	return commit.Accept{
		Key: number(k), Stream: stream, Subject: string(subject), Job: string(jobID), Data: bytes.Clone(data), Read: v[0] == 1,
	}, nil
}
