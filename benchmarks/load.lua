-- For wrk: print what came of the load as JSON, and look into each page if a number of items is given.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  incomplete = 0
  local items = tonumber(args[1])
  if items then
    response = function(status, headers, body)
      local _, found = body:gsub("<h3", "")
      if status ~= 200 or found ~= items or (headers["X-Fanout-Complete"] or headers["x-fanout-complete"]) == "false" then
        incomplete = incomplete + 1
      end
    end
  end
end

function done(summary, latency)
  local incomplete = 0
  for _, thread in ipairs(threads) do
    incomplete = incomplete + thread:get("incomplete")
  end
  local errors = summary.errors
  io.write(string.format(
    'load: {"pages": %d, "seconds": %f, "bytes": %d, "errors": %d, "incomplete": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout, incomplete,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
