// Package statuspage is siemd's status page: one HTML file with the CSS and the
// JavaScript modules beside it, embedded as they are. There is no build step and
// nothing comes from elsewhere. The page holds no data: it asks the REST API,
// with a token that its user gives it, and shows all that it gets as text.
package statuspage

import (
	"embed"
	"strings"
)

// Index is the name of the page itself.
const Index = "index.html"

// Prefix is the path below which the page's other files are served.
const Prefix = "/page/"

// Policy is the Content-Security-Policy that the page is served with: its own
// scripts, styles and requests, and nothing else. Markup that events, file
// names or answers of a SIEM might smuggle in could do nothing.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

//go:embed static
var files embed.FS

// types are the media types of all that there is.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// File is a file of the page and its media type; false if there is none of that name.
func File(name string) (data []byte, mediaType string, ok bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || strings.ContainsAny(name, `/\`) {
		return nil, "", false
	}
	mediaType, ok = types[name[dot:]]
	if !ok {
		return nil, "", false
	}
	data, err := files.ReadFile("static/" + name)
	return data, mediaType, err == nil
}
