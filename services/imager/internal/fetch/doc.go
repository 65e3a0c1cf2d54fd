// Package fetch gets a picture's bytes from an address that a stranger has given.
//
// Its care is for the network it runs in: only http and https, only ports 80 and 443, and only addresses of the public
// internet, checked on the address that is really dialled, so that neither redirects nor a name that resolves to
// something else the second time get around it. Configured exceptions (Config.Allow) are exact hosts and ports. Time,
// size, headers and redirects are bounded, and bytes are never decompressed.
//
// Every error is an [*Error]: it says whether a retry can help, and when. Start reading at [Client.Fetch].
package fetch
