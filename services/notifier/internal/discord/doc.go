// Package discord posts notices to a Discord webhook.
//
// The webhook's address is a secret: whoever has it can post. It is in no error and no log line of this package.
//
// One window stays. Discord takes a nonce to tell a repetition from bots, not from webhooks. So when the connection
// breaks between the request and its answer, or the notifier dies before it has recorded the answer, the next attempt posts
// the notice a second time.
package discord
