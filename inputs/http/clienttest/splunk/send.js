// Sends events with Splunk's own logging library, in batches, and says how many were taken.
"use strict";
const { Logger } = require("splunk-logging");

const [url, token, prefix, count] = process.argv.slice(2);
const logger = new Logger({ url, token, maxBatchCount: 100, maxRetries: 50 });
let failed = null;
logger.error = (err) => { failed = err; };

async function main() {
  let taken = 0;
  const flushed = () => new Promise((resolve, reject) => {
    logger.flush((err, response, body) => (err ? reject(err) : resolve(body)));
  });
  for (let n = 0; n < Number(count); n++) {
    logger.send({
      message: { event_id: `${prefix}${n}`, n },
      metadata: { time: 1767323045 + n / 1000, host: "web-1", source: "shop", sourcetype: "orders", index: "main" },
      severity: n % 2 ? "info" : "warn",
    });
    if (n % 90 === 89 || n === Number(count) - 1) {
      const body = await flushed();
      if (body.code !== 0) throw new Error(JSON.stringify(body));
      taken = n + 1;
    }
  }
  if (failed) throw failed;
  console.log(JSON.stringify({ taken }));
}

main().catch((err) => { console.error(err); process.exit(1); });
