using System;
using System.Collections.Generic;

namespace Llia.Core
{
    /// <summary>
    /// Reads what comes on the frames socket, pixels straight to where they are shown from, and keeps the subscriptions.
    /// </summary>
    internal sealed class FramesReader : ILinkHandler
    {
        private const int MostTopicBytes = 1024;
        private const int MostHeaderBytes = 64 * 1024;
        private const int MostEchoBytes = 1024 * 1024;
        private const int LeastReceiveBuffer = 256 * 1024;
        private const int LargestReceiveBuffer = 32 * 1024 * 1024;
        private const int PingAfterMs = 2000;

        private readonly LliaClient m_client;
        private readonly int m_mostFrameBytes;
        private readonly object m_guard = new object();
        private readonly MsgpackReader m_reader = new MsgpackReader();
        private readonly byte[] m_topic = new byte[MostTopicBytes];
        private readonly byte[] m_header = new byte[MostHeaderBytes];
        private readonly byte[] m_echo = new byte[MostEchoBytes];
        private readonly Dictionary<byte[], bool> m_subscribed = new Dictionary<byte[], bool>();
        private readonly List<byte[]> m_leaving = new List<byte[]>();
        private ZmtpConnection m_connection;
        private int m_receiveBuffer;
        private long m_pingedMs;

        public FramesReader(LliaClient client, int mostFrameBytes)
        {
            m_client = client;
            m_mostFrameBytes = mostFrameBytes;
        }

        /// <summary>Messages that could not be read, and what was wrong with the newest.</summary>
        public long Malformed { get; private set; }

        public string MalformedText { get; private set; }

        public void Connected(ZmtpConnection connection)
        {
            foreach (var session in m_client.Sessions)
            {
                session.Inbox.Reconnected();
            }
            m_receiveBuffer = 0;
            FitReceiveBuffer(connection, LeastReceiveBuffer / 2);
            lock (m_guard)
            {
                m_subscribed.Clear();
                m_connection = connection;
            }
            m_client.Wake();
        }

        public void Disconnected(string reason)
        {
            lock (m_guard)
            {
                m_connection = null;
            }
        }

        /// <summary>Subscribes to what the sessions want and leaves what they do not. Called by the keeper.</summary>
        public void KeepSubscriptions(AvatarSession[] sessions)
        {
            lock (m_guard)
            {
                if (m_connection == null)
                {
                    m_leaving.Clear();
                    return;
                }
                while (m_leaving.Count > 0)
                {
                    var topic = m_leaving[m_leaving.Count - 1];
                    m_leaving.RemoveAt(m_leaving.Count - 1);
                    Keep(topic, false);
                    m_subscribed.Remove(topic);
                }
                foreach (var session in sessions)
                {
                    var topics = session.Inbox.Topics;
                    if (topics != null)
                    {
                        Keep(topics[(int)Topic.Event], true);
                        Keep(topics[(int)Topic.Frame], session.Settings.WantFrames);
                        Keep(topics[(int)Topic.Faces], session.Settings.WantFaces);
                        Keep(topics[(int)Topic.Voice], session.Voice != null);
                    }
                }
            }
        }

        /// <summary>An avatar is wanted no more; the keeper leaves its topics.</summary>
        public void Leave(byte[][] topics)
        {
            lock (m_guard)
            {
                if (topics != null)
                {
                    m_leaving.AddRange(topics);
                }
            }
        }

        /// <summary>Figures are due once a second for each avatar; nothing has come for much longer, not even a pong.</summary>
        public bool IsSilent(AvatarSession[] sessions, int timeoutMs)
        {
            lock (m_guard)
            {
                if (m_connection == null || m_subscribed.Count == 0)
                {
                    return false;
                }
                var silentMs = m_connection.SilentMs;
                if (silentMs > PingAfterMs && m_client.NowMs > m_pingedMs + PingAfterMs)
                {
                    m_pingedMs = m_client.NowMs;
                    try
                    {
                        m_connection.SendPing();
                    }
                    catch (System.Net.Sockets.SocketException)
                    {
                        return true;
                    }
                    catch (ObjectDisposedException)
                    {
                        return false;
                    }
                }
                return silentMs > timeoutMs;
            }
        }

        public void ReceiveMessage(ZmtpConnection connection)
        {
            var topicBytes = connection.ReadFrameHeader(out var more);
            if (topicBytes > MostTopicBytes)
            {
                throw new WireException("the daemon sent a topic of " + topicBytes + " bytes");
            }
            connection.ReadBody(m_topic, 0, (int)topicBytes);
            var headerBytes = more ? connection.ReadFrameHeader(out more) : 0;
            if (headerBytes > MostHeaderBytes)
            {
                throw new WireException("the daemon sent a header of " + headerBytes + " bytes");
            }
            connection.ReadBody(m_header, 0, (int)headerBytes);
            var payloadBytes = more ? connection.ReadFrameHeader(out more) : -1;
            if (payloadBytes > m_mostFrameBytes)
            {
                throw new WireException("the daemon sent a payload of " + payloadBytes + " bytes");
            }
            var payloadLeft = Math.Max(payloadBytes, 0);
            try
            {
                Take(connection, (int)topicBytes, (int)headerBytes, payloadBytes, ref payloadLeft);
            }
            catch (MalformedMessageException error)
            {
                Malformed++;
                MalformedText = "a published message: " + error.Message;
            }
            connection.SkipBody(payloadLeft);
            while (more)
            {
                connection.SkipBody(connection.ReadFrameHeader(out more));
            }
        }

        private void Take(ZmtpConnection connection, int topicBytes, int headerBytes, long payloadBytes, ref long payloadLeft)
        {
            var topic = new TextSlice(m_topic, 0, topicBytes);
            foreach (var session in m_client.Sessions)
            {
                Topic which;
                if (!session.Inbox.TryTopic(topic, out which))
                {
                    continue;
                }
                m_reader.Reset(m_header, 0, headerBytes);
                long version;
                var type = WireMessage.PeekType(m_reader, out version);
                if (version != WireMessage.Version)
                {
                    throw new MalformedMessageException("its protocol version is " + version);
                }
                switch (which)
                {
                    case Topic.Frame:
                        TakeFrame(connection, session.Inbox, type, payloadBytes, ref payloadLeft);
                        break;
                    case Topic.Voice:
                        TakeEcho(connection, session.Inbox, type, payloadBytes, ref payloadLeft);
                        break;
                    case Topic.Faces:
                        if (type.Is("blendshapes"))
                        {
                            session.Inbox.TakeFace(m_reader, m_client.NowMs);
                        }
                        break;
                    default:
                        TakeEvent(session.Inbox, type);
                        break;
                }
                return;
            }
        }

        private void TakeFrame(
            ZmtpConnection connection, AvatarInbox inbox, TextSlice type, long payloadBytes, ref long payloadLeft)
        {
            if (!type.Is("frame"))
            {
                return;
            }
            var frame = inbox.BeginFrame(m_reader, payloadBytes, m_client.NowMs);
            if (frame == null)
            {
                return;
            }
            FitReceiveBuffer(connection, frame.PixelBytes);
            payloadLeft = 0;
            try
            {
                connection.ReadBody(frame.Pixels, 0, frame.PixelBytes);
            }
            catch
            {
                inbox.Frames.Discard(frame);
                throw;
            }
            inbox.EndFrame(frame, m_client.NowMs);
        }

        private void TakeEcho(
            ZmtpConnection connection, AvatarInbox inbox, TextSlice type, long payloadBytes, ref long payloadLeft)
        {
            if (!type.Is("echo"))
            {
                return;
            }
            if (payloadBytes < 0 || payloadBytes > MostEchoBytes)
            {
                throw new MalformedMessageException("an echo has " + payloadBytes + " bytes");
            }
            payloadLeft = 0;
            connection.ReadBody(m_echo, 0, (int)payloadBytes);
            inbox.TakeEcho(m_reader, m_echo, (int)payloadBytes, m_client.NowMs);
        }

        private void TakeEvent(AvatarInbox inbox, TextSlice type)
        {
            EventKind kind;
            if (type.Is("statistics"))
            {
                inbox.TakeStatistics(m_reader);
            }
            else if (EventHeader.TryKind(type, out kind))
            {
                inbox.TakeEvent(kind, m_reader);
            }
        }

        private void Keep(byte[] topic, bool wanted)
        {
            bool there;
            m_subscribed.TryGetValue(topic, out there);
            if (there != wanted)
            {
                m_subscribed[topic] = wanted;
                m_connection.Subscribe(topic, wanted);
            }
        }

        /// <summary>About two frames: a larger one fills with old pictures when this thread has to wait.</summary>
        private void FitReceiveBuffer(ZmtpConnection connection, int frameBytes)
        {
            var wanted = Math.Max(LeastReceiveBuffer, Math.Min(2 * frameBytes, LargestReceiveBuffer));
            if (wanted > m_receiveBuffer)
            {
                m_receiveBuffer = wanted;
                connection.SetReceiveBuffer(wanted);
            }
        }
    }
}
