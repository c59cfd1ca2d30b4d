package httpx

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"sync"
)

const (
	maxCookies    = 32
	maxCookieSize = 4 << 10
)

// A jar keeps the cookies of one endpoint: balancers recognise by them who
// belongs to which node. What a receiver can fill it with is bounded.
type jar struct {
	jar *cookiejar.Jar

	mu    sync.Mutex // guards names
	names map[string]bool
}

func newJar() *jar {
	j, _ := cookiejar.New(nil) // without options it cannot fail
	return &jar{jar: j, names: map[string]bool{}}
}

func (j *jar) set(u *url.URL, cookies []*http.Cookie) {
	if len(cookies) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	kept := cookies[:0]
	for _, c := range cookies {
		if len(c.Name)+len(c.Value) > maxCookieSize || (!j.names[c.Name] && len(j.names) >= maxCookies) {
			continue
		}
		j.names[c.Name] = true
		kept = append(kept, c)
	}
	j.jar.SetCookies(u, kept)
}

func (j *jar) get(u *url.URL) []*http.Cookie { return j.jar.Cookies(u) }
