-- The health of an ExposedApp. Argo CD runs this with Lua's base and table
-- libraries alone, and judges an app that is being deleted by itself.

local progressing, degraded, suspended = "Progressing", "Degraded", "Suspended"

-- What holds an app back without being anybody's failure.
local health_of = {
  RolloutInProgress = progressing,
  RolloutPaused = suspended,
  ScaledToZero = suspended,
  Suspended = suspended,
}

local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return {status = progressing, message = "the operator has not seen this generation yet"}
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready, stalled, reconciling = conditions.Ready, conditions.Stalled, conditions.Reconciling

if stalled ~= nil and stalled.status == "True" then
  return {status = degraded, message = stalled.message}
end
if ready == nil then
  return {status = progressing, message = "the operator has not judged this generation yet"}
end
if ready.status == "True" then
  return {status = "Healthy", message = ready.message}
end
if reconciling ~= nil and reconciling.status == "True" then
  return {status = progressing, message = reconciling.message}
end
if ready.status == "Unknown" then
  return {status = progressing, message = ready.message}
end
return {status = health_of[ready.reason] or degraded, message = ready.message}
