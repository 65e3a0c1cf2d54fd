package web

import (
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// page cuts what was read with one item more than asked for, and says whether there is another page.
func page[T any](items []T, limit int) ([]T, bool) {
	if len(items) > limit {
		return items[:limit], true
	}
	return items, false
}

// nextLink is the value of the Link header that leads from one page to the next (RFC 8288).
func nextLink(path string, limit int, last string, filters url.Values) string {
	q := url.Values{"limit": {strconv.Itoa(limit)}, "after": {last}}
	for name, values := range filters {
		if len(values) > 0 && values[0] != "" {
			q[name] = values
		}
	}
	return "<" + path + "?" + q.Encode() + `>; rel="next"`
}

// unknownAfter refuses a page that would begin nowhere: an empty one would look like the end of the list.
func unknownAfter(what, id string) error {
	return huma.Error422UnprocessableEntity("", &huma.ErrorDetail{
		Message: "there is no such " + what + " (any more): begin again without it", Location: "query.after", Value: id,
	})
}
