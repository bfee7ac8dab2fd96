namespace Llia.Core
{
    /// <summary>Reads what comes on the control socket.</summary>
    internal sealed class ControlReader : ILinkHandler
    {
        private const int MostHeaderBytes = 256 * 1024;

        private readonly LliaClient m_client;
        private readonly MsgpackReader m_reader = new MsgpackReader();
        private byte[] m_header = new byte[4096];
        private OkReply m_ok = new OkReply();
        private ErrorReply m_error = new ErrorReply();
        private readonly PongReply m_pong = new PongReply();

        public ControlReader(LliaClient client)
        {
            m_client = client;
        }

        /// <summary>Messages that could not be read, and what was wrong with the newest.</summary>
        public long Malformed { get; private set; }

        public string MalformedText { get; private set; }

        public void Connected(ZmtpConnection connection)
        {
            m_client.ControlConnected(connection);
        }

        public void Disconnected(string reason)
        {
            m_client.ControlDisconnected(reason);
        }

        public void ReceiveMessage(ZmtpConnection connection)
        {
            var size = connection.ReadFrameHeader(out var more);
            if (size > MostHeaderBytes)
            {
                throw new WireException("the daemon sent an answer of " + size + " bytes");
            }
            if (m_header.Length < size)
            {
                m_header = new byte[size];
            }
            connection.ReadBody(m_header, 0, (int)size);
            while (more)
            {
                connection.SkipBody(connection.ReadFrameHeader(out more));
            }
            try
            {
                m_reader.Reset(m_header, 0, (int)size);
                Take();
            }
            catch (MalformedMessageException error)
            {
                Malformed++;
                MalformedText = "an answer: " + error.Message;
            }
        }

        private void Take()
        {
            var type = WireMessage.PeekType(m_reader, out _);
            if (type.Is("ok"))
            {
                m_ok.Read(m_reader);
                var answer = m_ok;
                if (m_client.IsAwaited(answer.RequestNumber))
                {
                    m_ok = new OkReply();
                }
                m_client.Answered(answer);
            }
            else if (type.Is("pong"))
            {
                m_pong.Read(m_reader);
                m_client.Answered(m_pong);
            }
            else if (type.Is("error"))
            {
                m_error.Read(m_reader);
                m_client.Answered(m_error);
            }
            else
            {
                TakeRare(type);
            }
        }

        private void TakeRare(TextSlice type)
        {
            var reply = type.Is("welcome") ? new WelcomeReply()
                : type.Is("avatar_opened") || type.Is("avatar_info") ? new AvatarReply()
                : type.Is("statistics") ? (Reply)new StatisticsMessage()
                : null;
            if (reply != null) // else an answer of a later version
            {
                reply.Read(m_reader);
                m_client.Answered(reply);
            }
        }
    }
}
