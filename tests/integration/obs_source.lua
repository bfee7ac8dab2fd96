-- Stands in for the native plug-in in tests: a source of the kind llia_avatar_source that shows the daemon's
-- newest frame, received by ZeroMQ, as a real texture in a real OBS.

local obs = obslua
local ffi = require("ffi")

ffi.cdef [[
void *zmq_ctx_new(void);
int zmq_ctx_term(void *context);
void *zmq_socket(void *context, int type);
int zmq_close(void *socket);
int zmq_setsockopt(void *socket, int option, const void *value, size_t size);
int zmq_connect(void *socket, const char *endpoint);
int zmq_recv(void *socket, void *buffer, size_t size, int flags);

void obs_enter_graphics(void);
void obs_leave_graphics(void);
void *gs_texture_create(uint32_t width, uint32_t height, int format, uint32_t levels, const uint8_t **data,
                        uint32_t flags);
void gs_texture_set_image(void *texture, const uint8_t *data, uint32_t linesize, bool invert);
void gs_texture_destroy(void *texture);
void obs_source_draw(void *texture, int x, int y, uint32_t cx, uint32_t cy, bool flip);
]]

local zmq = ffi.load("libzmq.so.5")
local SUB, SUBSCRIBE, LINGER, RCVHWM, DONTWAIT = 2, 6, 17, 24, 1
local GS_RGBA, GS_DYNAMIC = 3, 2
local LIMIT_BYTES = 4 * 1024 * 1024

local info = {
  id = "llia_avatar_source",
  type = obs.OBS_SOURCE_TYPE_INPUT,
  output_flags = bit.bor(obs.OBS_SOURCE_VIDEO, obs.OBS_SOURCE_CUSTOM_DRAW),
}

local function option(socket, name, value)
  zmq.zmq_setsockopt(socket, name, ffi.new("int[1]", value), 4)
end

info.get_name = function() return "LLIA avatar (test)" end
info.get_width = function(data) return data.side end
info.get_height = function(data) return data.side end

info.create = function(settings)
  local data = { side = 0, buffer = ffi.new("uint8_t[?]", LIMIT_BYTES), fresh = false }
  local topic = "frame/" .. obs.obs_data_get_string(settings, "avatar_id")
  data.context = zmq.zmq_ctx_new()
  data.socket = zmq.zmq_socket(data.context, SUB)
  option(data.socket, LINGER, 0)
  option(data.socket, RCVHWM, 4)
  zmq.zmq_setsockopt(data.socket, SUBSCRIBE, topic, #topic)
  zmq.zmq_connect(data.socket, obs.obs_data_get_string(settings, "endpoint"))
  return data
end

info.destroy = function(data)
  zmq.zmq_close(data.socket)
  zmq.zmq_ctx_term(data.context)
  if data.texture ~= nil then
    ffi.C.obs_enter_graphics()
    ffi.C.gs_texture_destroy(data.texture)
    ffi.C.obs_leave_graphics()
  end
end

info.video_tick = function(data)
  while true do -- a message has three parts: topic, header, pixels; the avatar's picture is square
    if zmq.zmq_recv(data.socket, nil, 0, DONTWAIT) < 0 then break end
    zmq.zmq_recv(data.socket, nil, 0, 0)
    local size = zmq.zmq_recv(data.socket, data.buffer, LIMIT_BYTES, 0)
    data.received = math.floor(math.sqrt(size / 4) + 0.5)
  end
  if data.received == nil then return end
  ffi.C.obs_enter_graphics()
  if data.received ~= data.side then
    if data.texture ~= nil then ffi.C.gs_texture_destroy(data.texture) end
    data.side = data.received
    data.texture = ffi.C.gs_texture_create(data.side, data.side, GS_RGBA, 1, nil, GS_DYNAMIC)
  end
  ffi.C.gs_texture_set_image(data.texture, data.buffer, data.side * 4, false)
  ffi.C.obs_leave_graphics()
end

info.video_render = function(data)
  if data.texture == nil then return end
  local effect = obs.obs_get_base_effect(obs.OBS_EFFECT_DEFAULT)
  while obs.gs_effect_loop(effect, "Draw") do
    ffi.C.obs_source_draw(data.texture, 0, 0, 0, 0, false)
  end
end

obs.obs_register_source(info)
