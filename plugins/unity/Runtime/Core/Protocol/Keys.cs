using System.Text;

namespace Llia.Core
{
    /// <summary>The protocol's field names, found from their bytes without garbage.</summary>
    internal static class Keys
    {
        private const int Slots = 256;

        private static readonly string[] s_names =
        {
            "v", "type", "request_id", "avatar_id", "pts_samples", "epoch", "utterance_id", "state", "width", "height",
            "format", "alpha", "latency_ms", "published_ns", "shapes", "head_deg", "visemes", "sample_rate_hz",
            "channels", "preset", "controls", "reason", "code", "text", "protocol_version", "daemon", "capabilities",
            "limits", "frames_endpoint", "avatars", "own_avatars", "resume_token", "expressions", "daemon_ns", "name",
            "fps", "lookahead_ms", "lead_ms", "provider", "compute_ms", "first_frame_ms", "stalls", "stalled_ms",
            "skipped_audio_ms", "queues", "drops", "stages_ms", "delays_ms",
        };

        private static readonly string[] s_slots = new string[Slots];
        private static readonly byte[][] s_bytes = new byte[Slots][];

        static Keys()
        {
            foreach (var name in s_names)
            {
                var bytes = Encoding.ASCII.GetBytes(name);
                var slot = (int)(new TextSlice(bytes, 0, bytes.Length).Hash() % Slots);
                while (s_slots[slot] != null)
                {
                    slot = (slot + 1) % Slots;
                }
                s_slots[slot] = name;
                s_bytes[slot] = bytes;
            }
        }

        /// <summary>The name; null for one that this version does not know, which is to be passed over.</summary>
        public static string Find(TextSlice key)
        {
            for (var slot = (int)(key.Hash() % Slots); s_slots[slot] != null; slot = (slot + 1) % Slots)
            {
                if (key.Is(s_bytes[slot], s_bytes[slot].Length))
                {
                    return s_slots[slot];
                }
            }
            return null;
        }
    }
}
