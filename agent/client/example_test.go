package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/adrian207/siemd/agent/client"
)

// Store an event and learn what became of it at each connection.
func Example() {
	dataDir, stop := runAgent() // a siemd with a connection called archive
	defer stop()

	c := client.Socket(filepath.Join(dataDir, "siemd.sock"))
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	event := map[string]any{
		"event_type":   "anomaly",
		"event_source": "DEV-123",
		"event_data":   map[string]any{"anomaly_id": "ANO-7", "title": "Unusual traffic of a device"},
	}
	var answer struct {
		EventID string          `json:"event_id"`
		Results map[string]bool `json:"results"`
	}
	// With a key it may be sent again when no answer comes, without a second event.
	err := c.PostOnce(ctx, "my-own-number-7", "/api/v1/siem/export?wait=10s", event, &answer)
	var e *client.Error
	switch {
	case errors.Is(err, client.ErrUnreachable):
		fmt.Println("siemd does not run")
	case errors.As(err, &e) && e.Status == http.StatusServiceUnavailable:
		fmt.Println("nothing is stored, try again later:", e)
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println(answer.EventID, "is on disk, delivered:", answer.Results)
	}
	// Output: ANO-7 is on disk, delivered: map[archive:true]
}
