// The core against tests/protocol/golden.json, which the daemon's own tests write.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Web.Script.Serialization;
using Llia.Core;
using NUnit.Framework;

namespace Llia.Tests
{
    [TestFixture]
    internal sealed class GoldenTests
    {
        /// <summary>The daemon's own microphone and memory that a reader maps: this package asks for neither.</summary>
        private static readonly HashSet<string> s_leftOut = new HashSet<string> { "set_microphone", "shared_frame" };

        private static readonly List<Dictionary<string, object>> s_entries =
            new JavaScriptSerializer().Deserialize<List<Dictionary<string, object>>>(
                File.ReadAllText(Environment.GetEnvironmentVariable("LLIA_GOLDEN")))
                .Where(entry => !s_leftOut.Contains((string)entry["type"])).ToList();

        private static IEnumerable<TestCaseData> Entries()
        {
            return s_entries.Select((entry, index) => new TestCaseData(entry).SetName(index + " " + entry["type"]));
        }

        [Test]
        [TestCaseSource("Entries")]
        public void EveryMessageIsWrittenOrReadToTheByte(Dictionary<string, object> entry)
        {
            var type = (string)entry["type"];
            var fields = (Dictionary<string, object>)entry["fields"];
            var header = Bytes((string)entry["header_hex"]);
            var written = Written(type, fields);
            if (written != null)
            {
                Assert.AreEqual(Hex(header), Hex(written));
                return;
            }
            var reader = new MsgpackReader();
            reader.Reset(header, 0, header.Length);
            long version;
            Assert.AreEqual(type, WireMessage.PeekType(reader, out version).ToText());
            Assert.AreEqual(1, version);
            var message = Make(type);
            message.Read(reader);
            Assert.IsTrue(reader.AtEnd);
            Compare(message, fields);
        }

        [Test]
        public void EveryTypeIsKnown()
        {
            foreach (var entry in s_entries)
            {
                var type = (string)entry["type"];
                Assert.IsTrue(Written(type, (Dictionary<string, object>)entry["fields"]) != null || Make(type) != null, type);
            }
        }

        private static byte[] Written(string type, Dictionary<string, object> f)
        {
            var writer = new MsgpackWriter();
            var number = f.ContainsKey("request_id") && (string)f["request_id"] != "" ? Long(f, "request_id") : -1;
            var avatar = f.ContainsKey("avatar_id") ? (string)f["avatar_id"] : "";
            switch (type)
            {
                case "hello":
                    if (((IList)f["versions"]).Count > 1)
                    {
                        return HelloOfTwoVersions(f); // this package speaks one
                    }
                    Requests.Hello(writer, number, (string)f["client"], (string)f["resume"]);
                    break;
                case "ping": Requests.Ping(writer, number); break;
                case "open_avatar":
                    Requests.OpenAvatar(
                        writer, number, (string)f["picture"], (string)f["pack"], (int)Long(f, "size_px"), (int)Long(f, "fps"),
                        (string)f["format"] == "BGRA" ? PixelFormat.Bgra : PixelFormat.Rgba,
                        (string)f["alpha"] == "premultiplied" ? AlphaMode.Premultiplied : AlphaMode.Straight, Long(f, "seed"));
                    break;
                case "close_avatar": Requests.CloseAvatar(writer, number, avatar); break;
                case "get_avatar_info": Requests.GetAvatarInfo(writer, number, avatar); break;
                case "audio":
                    Requests.Audio(
                        writer, number, avatar, (string)f["utterance_id"], (int)Long(f, "sample_rate_hz"), (int)Long(f, "channels"),
                        (string)f["format"] == "f32", Long(f, "sample_index"), (bool)f["final"], (bool)f["live"],
                        (string)f["role"] == "other");
                    break;
                case "end": Requests.End(writer, number, avatar, (string)f["utterance_id"], (string)f["role"] == "other"); break;
                case "cancel": Requests.Cancel(writer, number, avatar); break;
                case "set_state":
                    Requests.SetState(writer, number, avatar, (AvatarState)Enum.Parse(typeof(AvatarState), (string)f["state"], true));
                    break;
                case "set_expression":
                    var controls = ((Dictionary<string, object>)f["controls"]).ToDictionary(
                        pair => pair.Key, pair => Convert.ToSingle(pair.Value, CultureInfo.InvariantCulture));
                    Requests.SetExpression(writer, number, avatar, (string)f["preset"], controls);
                    break;
                case "get_statistics": Requests.GetStatistics(writer, number, avatar); break;
                default: return null;
            }
            return writer.ToArray();
        }

        private static byte[] HelloOfTwoVersions(Dictionary<string, object> f)
        {
            var one = new MsgpackWriter();
            Requests.Hello(one, -1, (string)f["client"], (string)f["resume"]);
            return Bytes(Hex(one.ToArray()).Replace("76657273696f6e739101", "76657273696f6e73920102"));
        }

        private static WireMessage Make(string type)
        {
            EventKind kind;
            switch (type)
            {
                case "welcome": return new WelcomeReply();
                case "pong": return new PongReply();
                case "avatar_opened": return new AvatarReply();
                case "avatar_info": return new AvatarReply();
                case "ok": return new OkReply();
                case "statistics": return new StatisticsMessage();
                case "error": return new ErrorReply();
                case "blendshapes": return new BlendshapesHeader();
                case "frame": return new FrameHeader();
                case "echo": return new EchoHeader();
            }
            var text = Encoding.ASCII.GetBytes(type);
            return EventHeader.TryKind(new TextSlice(text, 0, text.Length), out kind) ? new EventHeader() : null;
        }

        /// <summary>
        /// Every field of the message has the golden value. The avatar's id is in the topic and is not read where it is.
        /// </summary>
        private static void Compare(WireMessage message, Dictionary<string, object> fields)
        {
            var isAddressed = !(message is Reply) || message is StatisticsMessage;
            foreach (var field in fields)
            {
                if (field.Key == "avatar_id" && isAddressed)
                {
                    continue;
                }
                if (field.Key == "request_id")
                {
                    var number = (string)field.Value == "" ? -1 : long.Parse((string)field.Value);
                    Assert.AreEqual(number, ((Reply)message).RequestNumber);
                    continue;
                }
                if (field.Key == "format" && message is EchoHeader)
                {
                    Assert.IsTrue(((EchoHeader)message).IsFloat);
                    continue;
                }
                var name = string.Concat(field.Key.Split('_').Select(word => char.ToUpperInvariant(word[0]) + word.Substring(1)));
                var member = message.GetType().GetField(name);
                Assert.IsNotNull(member, message.GetType().Name + " does not read " + field.Key);
                CompareValue(field.Key, field.Value, member.GetValue(message));
            }
        }

        private static void CompareValue(string name, object wanted, object read)
        {
            var numbers = read as NamedNumbers;
            if (numbers != null)
            {
                var map = (Dictionary<string, object>)wanted;
                Assert.AreEqual(map.Count, numbers.Count, name);
                foreach (var pair in map)
                {
                    Assert.AreEqual(Convert.ToDouble(pair.Value, CultureInfo.InvariantCulture), numbers.Get(pair.Key, double.NaN), name);
                }
            }
            else if (read is List<string>)
            {
                Assert.AreEqual(((IEnumerable)wanted).Cast<string>().ToArray(), ((List<string>)read).ToArray(), name);
            }
            else if (read is Enum)
            {
                Assert.AreEqual(((string)wanted).ToLowerInvariant(), read.ToString().ToLowerInvariant(), name);
            }
            else if (read is string)
            {
                Assert.AreEqual(wanted, read, name);
            }
            else
            {
                Assert.AreEqual(
                    Convert.ToDouble(wanted, CultureInfo.InvariantCulture), Convert.ToDouble(read, CultureInfo.InvariantCulture), name);
            }
        }

        private static long Long(Dictionary<string, object> fields, string name)
        {
            return Convert.ToInt64(fields[name], CultureInfo.InvariantCulture);
        }

        private static byte[] Bytes(string hex)
        {
            var bytes = new byte[hex.Length / 2];
            for (var i = 0; i < bytes.Length; i++)
            {
                bytes[i] = Convert.ToByte(hex.Substring(2 * i, 2), 16);
            }
            return bytes;
        }

        private static string Hex(byte[] bytes)
        {
            return string.Concat(bytes.Select(one => one.ToString("x2")));
        }
    }
}
