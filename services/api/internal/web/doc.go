// Package web is the api's outside: HTTP in front of the accept log, the jobs and the users.
//
// It checks what comes in, says what went wrong as problem documents (RFC 9457) and describes itself as OpenAPI 3.1. It
// decides nothing about jobs and keeps nothing: what it needs is declared as small interfaces in ports.go. Start reading
// at [New], which is the table of contents; then users.go, the shortest way of one request from its bytes to its answer.
package web
