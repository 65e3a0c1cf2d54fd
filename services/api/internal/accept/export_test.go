package accept

// NewEmailsUnder makes a set whose fingerprints are f's.
var NewEmailsUnder = newEmails

// Len is how many fingerprints and further users are kept in memory.
func (e *Emails) Len() (prints, more int) {
	for _, keys := range e.more {
		more += len(keys)
	}
	return len(e.first), more
}
