using Llia.Core;

namespace Llia.Tests
{
    /// <summary>What a daemon sends, for avatar a.</summary>
    internal static class Messages
    {
        private static readonly string[] s_shapes = { "jawOpen", "mouthClose", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp" };

        public static void Frame(MsgpackWriter writer, long ptsSamples, int width, int height, long epoch = 0, string utteranceId = "u-1")
        {
            Begin(writer, "frame", 13);
            writer.Text("avatar_id");
            writer.Text("a");
            writer.Text("pts_samples");
            writer.Int(ptsSamples);
            writer.Text("epoch");
            writer.Int(epoch);
            writer.Text("utterance_id");
            writer.Text(utteranceId);
            writer.Text("state");
            writer.Text(utteranceId.Length > 0 ? "speaking" : "idle");
            writer.Text("width");
            writer.Int(width);
            writer.Text("height");
            writer.Int(height);
            writer.Text("format");
            writer.Text("RGBA");
            writer.Text("alpha");
            writer.Text("straight");
            writer.Text("latency_ms");
            writer.Double(150);
            writer.Text("published_ns");
            writer.Int(1234567890123);
        }

        public static void Echo(MsgpackWriter writer, long ptsSamples)
        {
            Begin(writer, "echo", 9);
            writer.Text("avatar_id");
            writer.Text("a");
            writer.Text("pts_samples");
            writer.Int(ptsSamples);
            writer.Text("utterance_id");
            writer.Text("u-1");
            writer.Text("sample_rate_hz");
            writer.Int(16000);
            writer.Text("channels");
            writer.Int(1);
            writer.Text("format");
            writer.Text("f32");
            writer.Text("published_ns");
            writer.Int(1234567890123);
        }

        public static void Face(MsgpackWriter writer, long ptsSamples, double jawOpen)
        {
            Begin(writer, "blendshapes", 11);
            writer.Text("avatar_id");
            writer.Text("a");
            writer.Text("pts_samples");
            writer.Int(ptsSamples);
            writer.Text("epoch");
            writer.Int(0);
            writer.Text("utterance_id");
            writer.Text("u-1");
            writer.Text("state");
            writer.Text("speaking");
            writer.Text("published_ns");
            writer.Int(1234567890123);
            writer.Text("shapes");
            writer.Map(s_shapes.Length);
            foreach (var shape in s_shapes)
            {
                writer.Text(shape);
                writer.Double(jawOpen);
            }
            writer.Text("head_deg");
            writer.Map(1);
            writer.Text("yaw");
            writer.Double(1);
            writer.Text("visemes");
            writer.Map(1);
            writer.Text("sil");
            writer.Double(1);
        }

        public static void Statistics(MsgpackWriter writer)
        {
            Begin(writer, "statistics", 7);
            writer.Text("request_id");
            writer.Text("");
            writer.Text("avatar_id");
            writer.Text("a");
            writer.Text("fps");
            writer.Double(25);
            writer.Text("lead_ms");
            writer.Double(150);
            writer.Text("queues");
            writer.Map(1);
            writer.Text("speech_ms");
            writer.Double(1500);
        }

        public static void Event(MsgpackWriter writer, string type, string utteranceId, long ptsSamples)
        {
            Begin(writer, type, 5);
            writer.Text("avatar_id");
            writer.Text("a");
            writer.Text("utterance_id");
            writer.Text(utteranceId);
            writer.Text("pts_samples");
            writer.Int(ptsSamples);
        }

        public static void Ok(MsgpackWriter writer, long number)
        {
            Begin(writer, "ok", 3);
            writer.Text("request_id");
            writer.NumberAsText(number);
        }

        private static void Begin(MsgpackWriter writer, string type, int fields)
        {
            writer.Clear();
            writer.Map(fields);
            writer.Text("v");
            writer.Int(1);
            writer.Text("type");
            writer.Text(type);
        }
    }
}
