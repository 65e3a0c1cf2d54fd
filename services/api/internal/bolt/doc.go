// Package bolt keeps the api's store in one bbolt file, api.db: the log of what was accepted, jobs with their tasks' states,
// users, and how far the relay and the projection have come.
//
// One goroutine writes (see package commit); anybody may read at any time. Everything that an accept writes has a key that
// grows, so that many accepts dirty few pages.
package bolt
