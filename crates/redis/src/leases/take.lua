-- Takes the lease of a key: 1 if it is the asker's now, 2 if it is and another gave it back a moment ago, 0 if another has it.
-- KEYS: lease. ARGV: token, incarnation and number that the asker's fill began at, milliseconds, 1 to take over from an older fill.
local held = redis.call('GET', KEYS[1])
local granted = 1
if held == 'given back' then
  granted = 2
elseif held then
  local incarnation, number = string.match(held, '^%x+:(%x+):(%d+)$')
  local older = incarnation ~= ARGV[2] or tonumber(number) < tonumber(ARGV[3])
  if ARGV[5] ~= '1' or not older then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2] .. ':' .. ARGV[3], 'PX', ARGV[4])
return granted
