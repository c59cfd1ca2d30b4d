package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

// evil would run if anything on the page took it for markup.
const evil = `<img src=x onerror="alert('` + "`" + `markup')">`

// evilSIEM is an HTTP target whose answers are hostile too. Its mode is the status that it answers with.
type evilSIEM struct {
	*httptest.Server
	mode   atomic.Int32
	events atomic.Int32
}

func startEvilSIEM(t *testing.T) *evilSIEM {
	s := &evilSIEM{}
	s.mode.Store(http.StatusOK)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		status := int(s.mode.Load())
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprintf(w, "%s <script>alert('answer')</script>", evil)
		if status == http.StatusOK {
			s.events.Add(int32(strings.Count(string(body), "\n")))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// a pageRig is a siemd with hostile inputs and targets, and a browser.
type pageRig struct {
	*bench
	*browser
	url   string
	siem  *evilSIEM
	good  *plugintest.Receiver
	token string
	apps  string // directory of the tail input
}

const pageReader = "token-that-may-only-read"

func startPage(t *testing.T) *pageRig {
	t.Helper()
	b := startBrowser(t)
	r := &pageRig{browser: b, siem: startEvilSIEM(t), good: startReceiver(t, "splunk", plugintest.Options{}), url: plugintest.FreeAddr(t)}
	r.apps = t.TempDir()
	r.bench = startBenchAPI(t, fmt.Sprintf("{listen: [%q], tokens: [{name: reader, token: %s}]}", r.url, pageReader), fmt.Sprintf(`
  apps: {type: tail, paths: ["%s/*.jsonl"], start_at: beginning}
identity: {vendor: %s}
outputs:
  evil: {type: http, endpoint: "%s/", batch: {max_wait: 50ms}, retry: {initial: 50ms, max: 200ms}}
  splunk: {type: splunk, endpoint: "%s", token: t, batch: {max_wait: 50ms}}
`, r.apps, quoteYAML(evil), r.siem.URL, r.good.URL()))
	token, err := os.ReadFile(filepath.Join(r.dir, "state", "api.token"))
	if err != nil {
		t.Fatal(err)
	}
	r.token = strings.TrimSpace(string(token))
	r.url = "http://" + r.url
	return r
}

func quoteYAML(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// login fills the form as a person would.
func (r *pageRig) login(token string) {
	r.browser.t.Helper()
	r.await("document.activeElement?.id === 'token'")
	r.typed(token)
	r.press("Enter")
}

// innocent checks that nothing on the page came from data, and that the page did nothing that it must not.
func (r *pageRig) innocent(where string) {
	t := r.browser.t
	t.Helper()
	if n := r.eval("document.querySelectorAll('img, iframe, object, embed, base, form[action], script:not([src=\"/page/app.js\"]), [onerror], [onload], [style*=url]').length"); n != 0.0 {
		t.Errorf("%s: %v elements are on the page that are none of its own", where, n)
	}
	for _, what := range r.misdeeds() {
		t.Errorf("%s: %s", where, what)
	}
	if url := r.eval("location.href + JSON.stringify(performance.getEntriesByType('resource').map((e) => e.name))").(string); strings.Contains(url, r.token) || strings.Contains(url, pageReader) {
		t.Errorf("%s: a token is in an address: %s", where, url)
	}
}

// hostile is an event with markup everywhere.
func hostile(id string) []byte {
	e := map[string]any{"event_id": evil + id, "event_type": evil, "source": evil, "severity": evil, "title": evil, "description": evil, "timestamp": evil, evil: evil, "nested": map[string]any{evil: []string{evil}}}
	data, _ := json.Marshal(e)
	return append(data, '\n')
}

// TestStatusPageTakesNothingForMarkup puts markup into every field of events, a
// file's name, lines that are no events, the config and a SIEM's answers, and
// looks at every view.
func TestStatusPageTakesNothingForMarkup(t *testing.T) {
	r := startPage(t)
	writeFile(t, filepath.Join(r.apps, evil[:len(evil)-2]+"\u202egnp.jsonl"), string(hostile("file"))+evil+"\n")
	r.siem.mode.Store(http.StatusBadRequest)
	if err := r.post(append(hostile("one"), hostile("two")...)); err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(r.conf())
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, r.conf(), string(conf)+"\n"+quoteYAML(evil)+": "+quoteYAML(evil)+"\n") // an edit that is refused
	r.open(r.url + "/")
	r.login(r.token)
	r.see("evil")
	r.see("alert('answer')")
	r.see("failed events show its reasons")
	r.eval("document.querySelector('[data-name=evil] .actions button').click()")
	r.await("document.querySelector('[data-name=evil] .steps li') !== null")
	r.innocent("overview")

	r.eval("location.hash = 'failed'")
	r.see(evil)
	r.eval("document.querySelectorAll('.opener').forEach((b) => b.click())")
	r.see(`"nested": {`)
	r.innocent("failed events")
	r.eval("document.querySelectorAll('.tabs button')[1].click()")
	r.see("Reason")
	r.await("[...document.querySelectorAll('.opener')].some((b) => b.offsetParent)")
	r.eval("document.querySelectorAll('.opener').forEach((b) => b.offsetParent && b.click())")
	r.await(fmt.Sprintf("[...document.querySelectorAll('pre')].some((p) => p.innerText === %s)", quoteJS(evil)))
	r.innocent("refused lines")

	r.eval("location.hash = 'files'")
	r.see(`onerror="alert(`)
	r.see(`\u202egnp.jsonl`) // and no mark that turns text around
	r.innocent("files")

	r.eval("location.hash = 'tap'")
	r.await("document.querySelector('.filters button[type=submit]') !== null")
	r.eval("document.querySelector('.filters button[type=submit]').click()")
	r.see("live: waiting")
	if err := r.post(hostile("tapped")); err != nil {
		t.Fatal(err)
	}
	r.see(evil)
	r.eval("document.querySelector('.taprow').click()")
	r.see(`"nested": {`)
	r.innocent("tap")

	r.eval("location.hash = 'config'")
	r.see("vendor: ")
	r.see("refused")
	r.await("document.querySelector('.problem') !== null")
	r.innocent("config")
	if text := r.eval("document.body.innerText").(string); strings.Contains(text, pageReader) || strings.Contains(text, r.token) {
		t.Error("a token is on the page")
	}
}

// TestStatusPage is a person at work: log in, see a connection fail and come
// back, and retry a failed event.
func TestStatusPage(t *testing.T) {
	r := startPage(t)
	r.open(r.url + "/")
	r.login("wrong")
	r.see("this token is not known")
	if bad := strings.Join(r.misdeeds(), "\n"); strings.Count(bad, "\n") > 0 || !strings.Contains(bad, "401") {
		t.Errorf("after a wrong token: %s", bad) // the browser itself logs the 401
	}
	r.eval("document.getElementById('token').value = ''")
	r.login(r.token)
	r.see("Connections")
	r.see("balanced")

	row := func(name, text string) {
		t.Helper()
		r.await(fmt.Sprintf("document.querySelector('[data-name=%s]')?.innerText.includes(%s)", name, quoteJS(text)))
	}
	if err := r.post([]byte(`{"event_type":"alert","event_id":"first"}` + "\n")); err != nil {
		t.Fatal(err)
	}
	row("evil", "healthy")
	row("splunk", "healthy")

	// It fails: shape, word and colour say so, with the reason and what to do.
	r.siem.mode.Store(http.StatusUnauthorized)
	if err := r.post([]byte(`{"event_type":"alert","event_id":"second"}` + "\n")); err != nil {
		t.Fatal(err)
	}
	row("evil", "failed")
	row("evil", "check token, user and password")
	row("splunk", "healthy")
	r.await("document.querySelector('.graph .node.failed .title')?.textContent === 'evil' && document.title.startsWith('(1)')")
	r.see("1 waiting")
	// And comes back.
	r.siem.mode.Store(http.StatusOK)
	row("evil", "healthy")
	r.await("document.querySelector('.graph .node.failed') === null && !document.title.startsWith('(')")
	r.see("nothing waits")

	// The plots have axes with units and can be read by key.
	r.await("document.querySelectorAll('.plot path.line').length === 4")
	r.eval("document.querySelector('.plot').focus()")
	r.press("ArrowLeft")
	r.await("[...document.querySelectorAll('.reading')].some((e) => !e.hidden && e.innerText.includes('splunk'))")

	// A refused event is there with the answer, and goes once the SIEM takes it.
	r.siem.mode.Store(http.StatusBadRequest)
	if err := r.post([]byte(`{"event_type":"alert","event_id":"third"}` + "\n")); err != nil {
		t.Fatal(err)
	}
	r.await("document.querySelector('nav a[href=\"#failed\"] .count')?.textContent === '1'")
	r.eval("document.querySelector('[data-name=evil] td.failed a').click()") // leads to those of this connection
	r.see("third")
	r.see("400")
	r.await("document.querySelector('.filters select').value === 'evil'")
	before := r.siem.events.Load()
	r.siem.mode.Store(http.StatusOK)
	r.eval("document.querySelector('.openable button.write').click()")
	r.see("1 sent, 0 failed")
	r.see("No failed events")
	r.await("document.querySelector('nav a[href=\"#failed\"] .count')?.hidden")
	if n := r.siem.events.Load() - before; n != 1 {
		t.Errorf("the SIEM got %d events by the retry, want 1", n)
	}
	all, err := r.connections()
	if c := all["evil"]; err != nil || c.Failed != 0 || c.Sent != 3 || c.Unaccounted != 0 {
		t.Errorf("after the retry: %+v, %v", c, err)
	}

	// A reload shows up in the history.
	r.eval("location.hash = 'config'")
	r.await("document.querySelector('.attempts') !== null && !document.querySelector('button.write').hidden")
	r.eval("document.querySelector('button.write').click()")
	r.see("nothing has changed")
	r.see("unchanged")

	// The number keys change views, and log out forgets the token.
	r.press("1")
	r.await("document.querySelector('nav a[aria-current]').textContent === 'Overview'")
	r.innocent("all of it")
	r.eval("document.getElementById('logout').click()")
	r.await("document.activeElement?.id === 'token' && sessionStorage.length === 0")
}

// TestStatusPageReadOnly: a token that may only read sees all and can do nothing.
func TestStatusPageReadOnly(t *testing.T) {
	r := startPage(t)
	r.siem.mode.Store(http.StatusBadRequest)
	if err := r.post([]byte(`{"event_type":"alert","event_id":"refused-one"}` + "\n")); err != nil {
		t.Fatal(err)
	}
	r.screen(360, 780, "dark")
	r.open(r.url + "/#failed")
	r.login(pageReader)
	r.see("refused-one")
	for _, view := range []string{"overview", "failed", "files", "tap", "config"} {
		r.eval("location.hash = " + quoteJS(view))
		r.await(fmt.Sprintf("document.querySelector('main').className === 'view-%s' && document.querySelector('main').innerText.length > 40", view))
		if n := r.eval("[...document.querySelectorAll('button')].filter((b) => b.offsetParent && /retry|reload|^test/i.test(b.innerText)).length"); n != 0.0 {
			t.Errorf("%s: %v buttons to change something", view, n)
		}
		if w := r.eval("document.documentElement.scrollWidth").(float64); w > 360 {
			t.Errorf("%s: %v pixels wide on a phone of 360", view, w)
		}
		r.picture("phone-" + view)
	}
	r.innocent("read only")

	// When the agent goes away the page says so, and finds it again.
	r.eval("location.hash = 'overview'")
	r.kill()
	r.await("document.getElementById('banner').innerText.includes('does not answer')")
	r.restart()
	r.await("document.getElementById('banner').hidden")
	r.misdeeds() // the browser logs that nobody answered
}

// TestDemoServesThePage: the address and token that demo prints lead to the page and its data.
func TestDemoServesThePage(t *testing.T) {
	cmd := siemd("demo", "--for", "30s", "--rate", "50")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill() // its end is not what is tried
		_ = cmd.Wait()
	}()
	var url, token string
	if _, err := fmt.Fscanf(out, "status page: %s with the token %s\n", &url, &token); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"": "<!doctype html>", "page/app.js": "import ", "api/v1/siem/status": `"name":"splunk"`, "api/v1/siem/history": `"step_seconds":10`} {
		req, err := http.NewRequest("GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("GET /%s = %d %.200s, %v", path, resp.StatusCode, body, err)
		}
	}
}
