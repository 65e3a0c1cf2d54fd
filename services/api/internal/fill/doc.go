// Command fill makes an api.db as large as a measurement asks for, or adds to one: users with the job that welcomed them, which has ended
// long ago, and accepts that the relay has not published. The rows are those of the api, written by its own store, so that what is
// measured with them is what would be seen after months. It is for bench, and no part of what is deployed.
//
// Start at [fill] in main.go.
package main
