// Package spool keeps what a service would send, when it has not been told where to, as files in a folder: each whole, and named
// after the task's key, so that a task that is done twice leaves one file.
package spool
