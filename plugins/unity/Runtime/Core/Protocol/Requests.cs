using System.Collections.Generic;

namespace Llia.Core
{
    /// <summary>Writes the header of each request; a request number of -1 asks for no answer.</summary>
    internal static class Requests
    {
        public static void Hello(MsgpackWriter writer, long number, string client, string resumeToken)
        {
            Begin(writer, "hello", 7, number, "");
            writer.Text("versions");
            writer.Array(1);
            writer.Int(WireMessage.Version);
            writer.Text("client");
            writer.Text(client);
            writer.Text("resume");
            writer.Text(resumeToken);
        }

        public static void Ping(MsgpackWriter writer, long number)
        {
            Begin(writer, "ping", 4, number, "");
        }

        /// <param name="seed">Of the noise; -1: another one each time.</param>
        public static void OpenAvatar(
            MsgpackWriter writer, long number, string picture, string pack, int sizePx, int fps, PixelFormat format,
            AlphaMode alpha, long seed)
        {
            Begin(writer, "open_avatar", 11, number, "");
            writer.Text("picture");
            writer.Text(picture);
            writer.Text("pack");
            writer.Text(pack);
            writer.Text("size_px");
            writer.Int(sizePx);
            writer.Text("fps");
            writer.Int(fps);
            writer.Text("format");
            writer.Text(WireNames.Of(format));
            writer.Text("alpha");
            writer.Text(WireNames.Of(alpha));
            writer.Text("seed");
            writer.Int(seed);
        }

        public static void CloseAvatar(MsgpackWriter writer, long number, string avatarId)
        {
            Begin(writer, "close_avatar", 4, number, avatarId);
        }

        public static void GetAvatarInfo(MsgpackWriter writer, long number, string avatarId)
        {
            Begin(writer, "get_avatar_info", 4, number, avatarId);
        }

        /// <param name="isFloat">The payload is f32, else s16.</param>
        /// <param name="sampleIndex">Of the payload's first sample in the utterance; -1: it follows the last one.</param>
        /// <param name="other">The other party says it, whom the avatar listens to.</param>
        public static void Audio(
            MsgpackWriter writer, long number, string avatarId, string utteranceId, int sampleRateHz, int channels,
            bool isFloat, long sampleIndex, bool final, bool live, bool other)
        {
            Begin(writer, "audio", 12, number, avatarId);
            writer.Text("utterance_id");
            writer.Text(utteranceId);
            writer.Text("sample_rate_hz");
            writer.Int(sampleRateHz);
            writer.Text("channels");
            writer.Int(channels);
            writer.Text("format");
            writer.Text(isFloat ? "f32" : "s16");
            writer.Text("sample_index");
            writer.Int(sampleIndex);
            writer.Text("final");
            writer.Bool(final);
            writer.Text("live");
            writer.Bool(live);
            writer.Text("role");
            writer.Text(other ? "other" : "self");
        }

        public static void End(MsgpackWriter writer, long number, string avatarId, string utteranceId, bool other)
        {
            Begin(writer, "end", 6, number, avatarId);
            writer.Text("utterance_id");
            writer.Text(utteranceId);
            writer.Text("role");
            writer.Text(other ? "other" : "self");
        }

        public static void Cancel(MsgpackWriter writer, long number, string avatarId)
        {
            Begin(writer, "cancel", 4, number, avatarId);
        }

        public static void SetState(MsgpackWriter writer, long number, string avatarId, AvatarState state)
        {
            Begin(writer, "set_state", 5, number, avatarId);
            writer.Text("state");
            writer.Text(WireNames.Of(state));
        }

        public static void SetExpression(
            MsgpackWriter writer, long number, string avatarId, string preset, IDictionary<string, float> controls)
        {
            Begin(writer, "set_expression", 6, number, avatarId);
            writer.Text("preset");
            writer.Text(preset);
            writer.Text("controls");
            writer.Map(controls.Count);
            foreach (var control in controls)
            {
                writer.Text(control.Key);
                writer.Double(control.Value);
            }
        }

        public static void GetStatistics(MsgpackWriter writer, long number, string avatarId)
        {
            Begin(writer, "get_statistics", 4, number, avatarId);
        }

        private static void Begin(MsgpackWriter writer, string type, int fields, long number, string avatarId)
        {
            writer.Clear();
            writer.Map(fields);
            writer.Text("v");
            writer.Int(WireMessage.Version);
            writer.Text("type");
            writer.Text(type);
            writer.Text("request_id");
            writer.NumberAsText(number);
            writer.Text("avatar_id");
            writer.Text(avatarId);
        }
    }
}
