// Package accept is the one way in: it makes a request a job, with its event encoded once and for all, and has it written to
// the log. When it returns without an error the job is on disk and will end, whatever happens.
package accept
