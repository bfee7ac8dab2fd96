using System;
using System.IO;
using System.Net.Sockets;
using System.Threading;

namespace Llia.Core
{
    /// <summary>What a link gives its connection to. All calls come on the link's own thread.</summary>
    internal interface ILinkHandler
    {
        /// <summary>The handshake is done.</summary>
        void Connected(ZmtpConnection connection);

        /// <summary>Waits for one message and takes it.</summary>
        void ReceiveMessage(ZmtpConnection connection);

        /// <summary>The connection ended or could not be made.</summary>
        /// <param name="reason">One line for people.</param>
        void Disconnected(string reason);
    }

    /// <summary>Keeps one connection to an endpoint: a thread connects, reads, and connects again with back-off.</summary>
    internal sealed class ZmtpLink : IDisposable
    {
        private readonly ZmtpSocketType m_type;
        private readonly ILinkHandler m_handler;
        private readonly int m_timeoutMs;
        private readonly Backoff m_backoff;
        private readonly ManualResetEvent m_closing = new ManualResetEvent(false);
        private readonly AutoResetEvent m_hurry = new AutoResetEvent(false);
        private readonly object m_guard = new object();
        private readonly Thread m_thread;
        private TcpAddress m_address;
        private ZmtpConnection m_connection;
        private string m_dropReason;
        private volatile bool m_closed;

        public ZmtpLink(string name, TcpAddress address, ZmtpSocketType type, ILinkHandler handler, int timeoutMs, Backoff backoff)
        {
            m_address = address;
            m_type = type;
            m_handler = handler;
            m_timeoutMs = timeoutMs;
            m_backoff = backoff;
            m_thread = new Thread(Run) { IsBackground = true, Name = name };
            m_thread.Start();
        }

        public TcpAddress Address
        {
            get { return m_address; }
        }

        /// <summary>Ends the present connection, if there is one; the link connects again.</summary>
        public void Drop(string reason)
        {
            lock (m_guard)
            {
                m_dropReason = reason;
                if (m_connection != null)
                {
                    m_connection.Dispose();
                }
            }
        }

        /// <summary>Goes to another address.</summary>
        public void MoveTo(TcpAddress address)
        {
            lock (m_guard)
            {
                m_address = address;
            }
            Drop("moves to " + address);
            m_hurry.Set();
        }

        /// <summary>Tries again now instead of waiting.</summary>
        public void Hurry()
        {
            m_hurry.Set();
        }

        /// <summary>Ends thread and socket; returns when both have, or after a second.</summary>
        public void Dispose()
        {
            m_closed = true;
            m_closing.Set();
            Drop("closed");
            if (Thread.CurrentThread != m_thread && m_thread.Join(1000))
            {
                m_closing.Dispose();
                m_hurry.Dispose();
            }
        }

        private void Run()
        {
            var wakers = new WaitHandle[] { m_closing, m_hurry };
            while (!m_closed)
            {
                var reason = ConnectAndRead();
                if (m_closed)
                {
                    break;
                }
                m_handler.Disconnected(reason);
                if (WaitHandle.WaitAny(wakers, m_backoff.NextMs()) == 1)
                {
                    m_backoff.Reset();
                }
            }
        }

        /// <summary>Returns why it ended.</summary>
        private string ConnectAndRead()
        {
            TcpAddress address;
            lock (m_guard)
            {
                address = m_address;
                m_dropReason = null;
            }
            try
            {
                using (var connection = ZmtpConnection.Connect(address, m_type, m_timeoutMs, Opened))
                {
                    m_handler.Connected(connection);
                    while (!m_closed)
                    {
                        m_handler.ReceiveMessage(connection);
                        m_backoff.Reset(); // only a peer that makes sense is worth hurrying back to
                    }
                }
                return "closed";
            }
            catch (SocketException error)
            {
                return Reason(address, error.SocketErrorCode == SocketError.ConnectionRefused
                    ? "nothing listens there" : error.Message);
            }
            catch (IOException error)
            {
                return Reason(address, error.Message);
            }
            catch (WireException error)
            {
                return Reason(address, error.Message);
            }
            catch (ObjectDisposedException)
            {
                return Reason(address, "the connection was ended");
            }
            catch (Exception error)
            {
                // The thread's border: a fault of ours must not end it, nor the game.
                return Reason(address, "internal fault, " + error.GetType().Name + ": " + error.Message);
            }
            finally
            {
                lock (m_guard)
                {
                    m_connection = null;
                }
            }
        }

        private void Opened(ZmtpConnection connection)
        {
            lock (m_guard)
            {
                m_connection = connection;
            }
            if (m_closed)
            {
                connection.Dispose();
            }
        }

        private string Reason(TcpAddress address, string what)
        {
            lock (m_guard)
            {
                what = m_dropReason ?? what;
            }
            return address + ": " + what;
        }
    }
}
