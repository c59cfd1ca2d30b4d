package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"

	"github.com/adrian207/siemd/agent"
)

// serveOTLP answers POST /v1/logs in JSON.
func (in *Input) serveOTLP(rw *answer, req *http.Request) {
	switch kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type")); {
	case req.Method != http.MethodPost:
		rw.Header()["Allow"] = []string{"POST"}
		rw.json(http.StatusMethodNotAllowed, otlpStatus("want POST"))
		return
	case in.tokens.check(rw, req.Header) != credentialGood:
		rw.Header()["Www-Authenticate"] = []string{`Bearer realm="siemd"`}
		rw.json(http.StatusUnauthorized, otlpStatus("the token is missing or wrong"))
		return
	case kind == "application/x-protobuf":
		rw.json(http.StatusUnsupportedMediaType, otlpStatus("protobuf is not spoken here; want application/json"))
		return
	}
	w := works.Get().(*work)
	defer in.done(w)
	err := in.read(w, rw, req)
	if err == nil && blank(w.body) {
		err = errEmpty
	}
	var logs otlpLogs
	if err == nil {
		err = logs.decode(bytes.TrimPrefix(w.body, bom))
	}
	if err == nil {
		err = logs.events(w)
	}
	if err == nil && len(w.items) > in.config.MaxEvents {
		err = errTooLarge
	}
	if err != nil {
		if status := statusOf(err); status == http.StatusServiceUnavailable {
			rw.again(status, otlpStatus(err.Error()))
		} else {
			rw.json(status, otlpStatus(err.Error()))
		}
		return
	}
	if len(w.items) == 0 {
		rw.json(http.StatusOK, []byte("{}")) // an empty request is a success
		return
	}
	b, long := in.batch(w, rw, req)
	r, err := in.emit(req.Context(), b)
	switch {
	case errors.Is(err, errTooLarge):
		rw.json(statusOf(err), otlpStatus(err.Error()))
		return
	case err != nil:
		rw.again(http.StatusServiceUnavailable, otlpStatus(excuse(err)))
		return
	}
	refused := append(r.Refused, long...)
	if len(refused) == 0 {
		rw.json(http.StatusOK, []byte("{}"))
		return
	}
	text, _ := json.Marshal(map[string]any{"partialSuccess": map[string]string{
		"rejectedLogRecords": strconv.Itoa(len(refused)), "errorMessage": reasonText(refused[0]),
	}})
	rw.json(http.StatusOK, text)
}

// otlpStatus is an error as OTLP writes it.
func otlpStatus(message string) []byte {
	text, _ := json.Marshal(map[string]string{"message": message})
	return text
}

// otlpLogs is the part of ExportLogsServiceRequest that is looked at.
type otlpLogs struct {
	ResourceLogs []struct {
		Resource struct {
			Attributes []otlpPair `json:"attributes"`
		} `json:"resource"`
		ScopeLogs []struct {
			Scope struct {
				Name    string `json:"name"`
				Version string `json:"version"`
			} `json:"scope"`
			LogRecords []otlpRecord `json:"logRecords"`
		} `json:"scopeLogs"`
	} `json:"resourceLogs"`
}

type otlpRecord struct {
	Time           json.RawMessage `json:"timeUnixNano"`
	ObservedTime   json.RawMessage `json:"observedTimeUnixNano"`
	SeverityNumber int             `json:"severityNumber"`
	SeverityText   string          `json:"severityText"`
	Body           *otlpValue      `json:"body"`
	Attributes     []otlpPair      `json:"attributes"`
	EventName      string          `json:"eventName"`
	TraceID        string          `json:"traceId"`
	SpanID         string          `json:"spanId"`
}

// decode fills logs from body, or says what is wrong with it in words of JSON.
func (logs *otlpLogs) decode(body []byte) error {
	err := json.Unmarshal(body, logs)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrongType) && wrongType.Field == "":
		return fmt.Errorf("the body cannot be a JSON %s", wrongType.Value)
	case errors.As(err, &wrongType):
		return fmt.Errorf("%s cannot be a JSON %s", wrongType.Field, wrongType.Value)
	}
	return fmt.Errorf("no JSON: %w", err)
}

// events makes w's items.
func (logs *otlpLogs) events(w *work) error {
	for _, r := range logs.ResourceLogs {
		for _, s := range r.ScopeLogs {
			for i := range s.LogRecords {
				start := len(w.arena)
				var err error
				if w.arena, err = s.LogRecords[i].appendEvent(w.arena, r.Resource.Attributes, s.Scope.Name); err != nil {
					return err
				}
				w.items = append(w.items, w.arena[start:len(w.arena):len(w.arena)])
			}
		}
	}
	return nil
}

// otlpSeverity: protocols 10, each row from its first number on.
func otlpSeverity(number int, text string) string {
	switch {
	case number >= 21:
		return agent.Critical.String()
	case number >= 17:
		return agent.High.String()
	case number >= 13:
		return agent.Medium.String()
	case number >= 10:
		return agent.Low.String()
	case number >= 1:
		return agent.Informational.String()
	}
	if s, ok := agent.ParseSeverity([]byte(text)); ok {
		return s.String()
	}
	return ""
}
