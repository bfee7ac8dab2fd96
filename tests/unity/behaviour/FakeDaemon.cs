using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using System.Threading;
using Llia.Core;

namespace Llia.Tests
{
    /// <summary>A daemon in the test's hands: answers every request, remembers it, publishes what it is told to.</summary>
    internal sealed class FakeDaemon : IDisposable
    {
        private readonly PeerServer m_control;
        private readonly PeerServer m_frames;
        private readonly MsgpackWriter m_writer = new MsgpackWriter();
        private readonly List<Asked> m_asked = new List<Asked>();
        private readonly HashSet<string> m_topics = new HashSet<string>();
        private volatile Peer m_subscriber;

        public FakeDaemon()
        {
            m_frames = new PeerServer(ServeFrames);
            m_control = new PeerServer(ServeControl);
        }

        public string Endpoint
        {
            get { return m_control.Address.ToString(); }
        }

        public string Fault
        {
            get { return m_control.Fault ?? m_frames.Fault; }
        }

        public void Dispose()
        {
            m_control.Dispose();
            m_frames.Dispose();
        }

        public Asked[] All(string type)
        {
            lock (m_asked)
            {
                return m_asked.Where(asked => asked.Type == type).ToArray();
            }
        }

        public bool HasTopic(string topic)
        {
            lock (m_topics)
            {
                return m_topics.Contains(topic);
            }
        }

        public void Frame(long ptsSamples, int width, int height, byte[] pixels, long epoch = 0, string utteranceId = "")
        {
            Messages.Frame(m_writer, ptsSamples, width, height, epoch, utteranceId);
            Publish("frame/a", pixels);
        }

        public void Echo(long ptsSamples, float[] samples)
        {
            var bytes = new byte[samples.Length * 4];
            Buffer.BlockCopy(samples, 0, bytes, 0, bytes.Length);
            Messages.Echo(m_writer, ptsSamples);
            Publish("audio/a", bytes);
        }

        public void Face(long ptsSamples, double jawOpen)
        {
            Messages.Face(m_writer, ptsSamples, jawOpen);
            Publish("blendshapes/a", null);
        }

        public void Event(string type, string utteranceId, long ptsSamples)
        {
            Messages.Event(m_writer, type, utteranceId, ptsSamples);
            Publish("event/a", null);
        }

        public void Statistics()
        {
            Messages.Statistics(m_writer);
            Publish("event/a", null);
        }

        private void Publish(string topic, byte[] payload)
        {
            var parts = new List<byte[]> { Encoding.ASCII.GetBytes(topic), m_writer.ToArray() };
            if (payload != null)
            {
                parts.Add(payload);
            }
            lock (m_subscriber)
            {
                m_subscriber.WriteMessage(parts.ToArray());
            }
        }

        private static void TellState(Peer peer)
        {
            var writer = new MsgpackWriter();
            Messages.Event(writer, "state", "", 0);
            lock (peer)
            {
                peer.WriteMessage(Encoding.ASCII.GetBytes("event/a"), writer.ToArray());
            }
        }

        private void ServeFrames(Peer peer)
        {
            peer.ShakeHands("XPUB");
            peer.BePatient();
            m_subscriber = peer;
            while (true)
            {
                bool more, command;
                var subscription = peer.ReadFrame(out more, out command);
                lock (m_topics)
                {
                    var topic = Encoding.ASCII.GetString(subscription, 1, subscription.Length - 1);
                    if (subscription[0] == 1)
                    {
                        m_topics.Add(topic);
                        if (topic == "event/a")
                        {
                            TellState(peer); // whoever subscribes is told it at once
                        }
                    }
                    else
                    {
                        m_topics.Remove(topic);
                    }
                }
            }
        }

        private void ServeControl(Peer peer)
        {
            peer.ShakeHands("ROUTER");
            peer.BePatient();
            var writer = new MsgpackWriter();
            while (true)
            {
                bool more, command;
                var header = peer.ReadFrame(out more, out command);
                if (command)
                {
                    continue;
                }
                var asked = new Asked(header, more ? peer.ReadFrame(out more, out command) : null);
                lock (m_asked)
                {
                    m_asked.Add(asked);
                }
                Answer(writer, asked);
                peer.WriteMessage(writer.ToArray());
            }
        }

        private void Answer(MsgpackWriter writer, Asked asked)
        {
            switch (asked.Type)
            {
                case "hello":
                    Begin(writer, "welcome", 5, asked);
                    writer.Text("protocol_version");
                    writer.Int(1);
                    writer.Text("frames_endpoint");
                    writer.Text(m_frames.Address.ToString());
                    break;
                case "ping":
                    Begin(writer, "pong", 4, asked);
                    writer.Text("daemon_ns");
                    writer.Int(LliaClient.MonotonicNs);
                    break;
                case "open_avatar":
                    Begin(writer, "avatar_opened", 7, asked);
                    writer.Text("avatar_id");
                    writer.Text("a");
                    writer.Text("width");
                    writer.Int(2);
                    writer.Text("height");
                    writer.Int(2);
                    writer.Text("fps");
                    writer.Int(25);
                    break;
                default:
                    Begin(writer, "ok", 3, asked);
                    break;
            }
        }

        private static void Begin(MsgpackWriter writer, string type, int fields, Asked asked)
        {
            writer.Clear();
            writer.Map(fields);
            writer.Text("v");
            writer.Int(1);
            writer.Text("type");
            writer.Text(type);
            writer.Text("request_id");
            writer.Text(asked.RequestId);
        }

        /// <summary>A request.</summary>
        internal sealed class Asked
        {
            public readonly Dictionary<string, string> Fields = new Dictionary<string, string>();
            public readonly byte[] Payload;

            public Asked(byte[] header, byte[] payload)
            {
                Payload = payload;
                var reader = new MsgpackReader();
                reader.Reset(header, 0, header.Length);
                for (var left = reader.ReadMapHeader(); left > 0; left--)
                {
                    var name = reader.ReadText().ToText();
                    var start = reader.Position;
                    try
                    {
                        Fields[name] = reader.ReadText().ToText();
                    }
                    catch (MalformedMessageException)
                    {
                        reader.Position = start;
                        Fields[name] = Other(reader);
                    }
                }
            }

            public string Type
            {
                get { return Fields["type"]; }
            }

            public string RequestId
            {
                get { return Fields["request_id"]; }
            }

            public float[] Samples
            {
                get
                {
                    var samples = new float[Payload.Length / 4];
                    Buffer.BlockCopy(Payload, 0, samples, 0, Payload.Length);
                    return samples;
                }
            }

            private static string Other(MsgpackReader reader)
            {
                var start = reader.Position;
                try
                {
                    return reader.ReadBool() ? "true" : "false";
                }
                catch (MalformedMessageException)
                {
                    reader.Position = start;
                }
                try
                {
                    return reader.ReadNumber().ToString(System.Globalization.CultureInfo.InvariantCulture);
                }
                catch (MalformedMessageException)
                {
                    reader.Position = start;
                    reader.Skip();
                    return "?";
                }
            }
        }
    }
}
