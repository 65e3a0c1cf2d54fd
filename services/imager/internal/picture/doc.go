// Package picture is the imager's own idea: what may be asked of a picture, and how the answer is made.
//
// [Parse] turns the operations of an event into a [Plan]. [Open] looks at a picture's header, without decoding
// anything, and refuses what is broken or too much; it says how much memory the work will take. [Picture.Process] then
// does the work: one decode, the steps (resize, turn, watermark; a file each), one encode. [Process] is both in one.
// The result is always a JPEG, the same bytes for the same source and plan, and it carries no metadata: neither places
// nor thumbnails of the source survive.
//
// All of it is pure Go on bytes in memory. The package fetches nothing, stores nothing and knows no NATS. Every error
// that is the picture's or the request's fault is an [*Error], which no retry will change. Start reading at pipeline.go.
package picture
