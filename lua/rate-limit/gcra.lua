-- GCRA, the generic cell rate algorithm (ITU-T I.371; as a limiter: Brandur Leach, 2015), for a
-- batch of limits by Redis's own clock. A key holds its theoretical arrival time in microseconds.
-- KEYS[n] limit string, one per limit; the same key may occur more than once
-- ARGV[n] interval_and_burst microseconds between requests and requests at once, in turn per key
-- Returns for each key three integers: 1 allowed or 0 refused, requests left, milliseconds to wait
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local reply = {}
for index, key in ipairs(KEYS) do
  local interval = tonumber(ARGV[2 * index - 1])
  local tolerance = interval * tonumber(ARGV[2 * index])
  local arrival = math.max(tonumber(redis.call("GET", key) or "0"), now) + interval
  local ahead = arrival - now
  local at = 3 * index - 2
  if ahead > tolerance then
    reply[at], reply[at + 1] = 0, 0
    reply[at + 2] = math.ceil((ahead - tolerance) / 1000)
  else
    redis.call("SET", key, string.format("%.0f", arrival), "PX", math.ceil(ahead / 1000))
    reply[at], reply[at + 1] = 1, math.floor((tolerance - ahead) / interval)
    reply[at + 2] = 0
  end
end
return reply
