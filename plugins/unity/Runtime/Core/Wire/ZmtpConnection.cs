using System;
using System.Diagnostics;
using System.IO;
using System.Net.Sockets;
using System.Threading;

namespace Llia.Core
{
    internal enum ZmtpSocketType
    {
        Sub,
        Dealer,
    }

    /// <summary>
    /// One ZMTP 3.0 connection over TCP with the NULL mechanism (RFC 23), as client. Reading belongs to one thread;
    /// sending is safe from any.
    /// </summary>
    /// <remarks>Reading and sending throw IOException, SocketException or <see cref="WireException"/> once it has
    /// ended or the peer broke the protocol.</remarks>
    internal sealed class ZmtpConnection : IDisposable
    {
        private const int FlagMore = 1;
        private const int FlagLong = 2;
        private const int FlagCommand = 4;
        private const int MaxCommandBytes = 1024;
        private const int MaxPingContextBytes = 16;

        private readonly Socket m_socket;
        private readonly object m_sending = new object();
        private readonly byte[] m_received = new byte[64 * 1024];
        private readonly byte[] m_frameHeader = new byte[9];
        private readonly byte[] m_command = new byte[MaxCommandBytes];
        private readonly byte[] m_outgoing = new byte[16 * 1024];
        private int m_receivedStart;
        private int m_receivedCount;
        private long m_heardTicks;
        private int m_closed;
        private volatile bool m_timedOut;

        private ZmtpConnection(Socket socket)
        {
            m_socket = socket;
            m_heardTicks = Stopwatch.GetTimestamp();
        }

        /// <summary>Time since the peer's last byte.</summary>
        public double SilentMs
        {
            get { return (Stopwatch.GetTimestamp() - Volatile.Read(ref m_heardTicks)) * 1000.0 / Stopwatch.Frequency; }
        }

        /// <summary>Connects and shakes hands.</summary>
        /// <param name="opened">Is given the socket before it connects, so that another thread can end the attempt.</param>
        public static ZmtpConnection Connect(
            TcpAddress address, ZmtpSocketType type, int timeoutMs, Action<ZmtpConnection> opened)
        {
            var ip = address.Resolve();
            var socket = new Socket(ip.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            var connection = new ZmtpConnection(socket);
            try
            {
                opened(connection);
                socket.NoDelay = true;
                var connecting = socket.BeginConnect(ip, address.Port, null, null);
                using (connecting.AsyncWaitHandle)
                {
                    if (!connecting.AsyncWaitHandle.WaitOne(timeoutMs))
                    {
                        throw new SocketException((int)SocketError.TimedOut);
                    }
                    socket.EndConnect(connecting);
                }
                socket.SendTimeout = timeoutMs;
                connection.ShakeHands(type, timeoutMs);
                return connection;
            }
            catch (Exception error)
            {
                connection.Dispose();
                if (connection.m_timedOut)
                {
                    throw new WireException("no answer to the ZMTP handshake in " + timeoutMs + " ms (" + error.Message + ")");
                }
                throw;
            }
        }

        /// <summary>Keeps about two frames in the kernel: more would only be older pictures.</summary>
        public void SetReceiveBuffer(int bytes)
        {
            m_socket.ReceiveBufferSize = bytes;
        }

        /// <summary>
        /// Waits for the next frame of a message and returns its size in bytes; pings in between are answered. The body
        /// has to be taken with <see cref="ReadBody"/> or <see cref="SkipBody"/> next.
        /// </summary>
        public long ReadFrameHeader(out bool more)
        {
            while (true)
            {
                var flags = ReadSize(out var size);
                if ((flags & FlagCommand) == 0)
                {
                    more = (flags & FlagMore) != 0;
                    return size;
                }
                if (size > MaxCommandBytes)
                {
                    throw new WireException("the peer sent a command of " + size + " bytes");
                }
                ReadBody(m_command, 0, (int)size);
                AnswerPing((int)size);
            }
        }

        public void ReadBody(byte[] target, int offset, int count)
        {
            while (count > 0)
            {
                if (m_receivedCount > 0)
                {
                    var taken = Math.Min(count, m_receivedCount);
                    Buffer.BlockCopy(m_received, m_receivedStart, target, offset, taken);
                    m_receivedStart += taken;
                    m_receivedCount -= taken;
                    offset += taken;
                    count -= taken;
                }
                else if (count >= m_received.Length)
                {
                    var read = Receive(target, offset, count);
                    offset += read;
                    count -= read;
                }
                else
                {
                    m_receivedStart = 0;
                    m_receivedCount = Receive(m_received, 0, m_received.Length);
                }
            }
        }

        public void SkipBody(long count)
        {
            while (count > 0)
            {
                if (m_receivedCount == 0)
                {
                    m_receivedStart = 0;
                    m_receivedCount = Receive(m_received, 0, m_received.Length);
                }
                var taken = (int)Math.Min(count, m_receivedCount);
                m_receivedStart += taken;
                m_receivedCount -= taken;
                count -= taken;
            }
        }

        /// <summary>Sends a message of one part, or of two if there is a payload.</summary>
        public void Send(byte[] header, int headerCount, byte[] payload, int payloadOffset, int payloadCount)
        {
            lock (m_sending)
            {
                SendFrame(header, 0, headerCount, payload == null ? 0 : FlagMore);
                if (payload != null)
                {
                    SendFrame(payload, payloadOffset, payloadCount, 0);
                }
            }
        }

        /// <summary>ZMTP 3.0: a subscription is an ordinary message of 1 (or 0 to leave) and the topic.</summary>
        public void Subscribe(byte[] topic, bool join)
        {
            var message = new byte[topic.Length + 1];
            message[0] = (byte)(join ? 1 : 0);
            Buffer.BlockCopy(topic, 0, message, 1, topic.Length);
            Send(message, message.Length, null, 0, 0);
        }

        /// <summary>
        /// Asks for a sign of life. The time to live is 0 on purpose: it arms no timer at the peer, and libzmq 4.3.5
        /// aborts where such a timer meets a client that does not read (libzmq issue 4841).
        /// </summary>
        public void SendPing()
        {
            var ping = new byte[] { 4, (byte)'P', (byte)'I', (byte)'N', (byte)'G', 0, 0 };
            lock (m_sending)
            {
                SendFrame(ping, 0, ping.Length, FlagCommand);
            }
        }

        /// <summary>Ends it; a thread that reads or sends is thrown out. Safe from any thread, more than once.</summary>
        public void Dispose()
        {
            if (Interlocked.Exchange(ref m_closed, 1) != 0)
            {
                return;
            }
            try
            {
                m_socket.Shutdown(SocketShutdown.Both); // wakes a blocked reader; Close alone does not everywhere
            }
            catch (SocketException)
            {
                // It was not connected, or the peer had ended it.
            }
            catch (ObjectDisposedException)
            {
                // Likewise.
            }
            m_socket.Close();
        }

        private void ShakeHands(ZmtpSocketType type, int timeoutMs)
        {
            m_socket.ReceiveTimeout = timeoutMs;
            // A peer that sends byte by byte must not hold the handshake for longer than the timeout either.
            using (new Timer(unused => GiveUp(), null, timeoutMs, Timeout.Infinite))
            {
                ZmtpHandshake.Run(this, type);
            }
            m_socket.ReceiveTimeout = 0;
        }

        private void GiveUp()
        {
            m_timedOut = true;
            Dispose();
        }

        internal void SendRaw(byte[] bytes, int offset, int count)
        {
            while (count > 0)
            {
                var sent = m_socket.Send(bytes, offset, count, SocketFlags.None);
                offset += sent;
                count -= sent;
            }
        }

        internal void SendCommand(byte[] body, int count)
        {
            lock (m_sending)
            {
                SendFrame(body, 0, count, FlagCommand);
            }
        }

        /// <summary>Reads a command, which has to be the next frame; returns its size.</summary>
        internal int ReadCommand(byte[] target)
        {
            var flags = ReadSize(out var size);
            if ((flags & FlagCommand) == 0 || size > target.Length)
            {
                throw new WireException("the peer does not finish the ZMTP handshake");
            }
            ReadBody(target, 0, (int)size);
            return (int)size;
        }

        private int ReadSize(out long size)
        {
            ReadBody(m_frameHeader, 0, 2);
            int flags = m_frameHeader[0];
            if ((flags & ~(FlagMore | FlagLong | FlagCommand)) != 0)
            {
                throw new WireException("the peer sent bytes that are no ZMTP frame");
            }
            size = m_frameHeader[1];
            if ((flags & FlagLong) != 0)
            {
                ReadBody(m_frameHeader, 2, 7);
                for (var i = 2; i < 9; i++)
                {
                    if (size > long.MaxValue >> 8)
                    {
                        throw new WireException("the peer sent a frame of an impossible size");
                    }
                    size = (size << 8) | m_frameHeader[i];
                }
            }
            return flags;
        }

        private void AnswerPing(int count)
        {
            var isPing = count >= 7 && m_command[0] == 4 && m_command[1] == 'P' && m_command[2] == 'I'
                && m_command[3] == 'N' && m_command[4] == 'G';
            if (!isPing)
            {
                return; // PONG, or a command of a later version
            }
            var contextCount = Math.Min(count - 7, MaxPingContextBytes);
            lock (m_sending)
            {
                m_command[1] = (byte)'P';
                m_command[2] = (byte)'O';
                // The name stays "PxNG"; the context follows it directly, without the time to live.
                Buffer.BlockCopy(m_command, 7, m_command, 5, contextCount);
                SendFrame(m_command, 0, 5 + contextCount, FlagCommand);
            }
        }

        private void SendFrame(byte[] body, int offset, int count, int flags)
        {
            int headerCount;
            if (count <= byte.MaxValue)
            {
                m_outgoing[0] = (byte)flags;
                m_outgoing[1] = (byte)count;
                headerCount = 2;
            }
            else
            {
                m_outgoing[0] = (byte)(flags | FlagLong);
                for (var i = 0; i < 8; i++)
                {
                    m_outgoing[1 + i] = (byte)((ulong)count >> (56 - 8 * i));
                }
                headerCount = 9;
            }
            if (headerCount + count <= m_outgoing.Length)
            {
                Buffer.BlockCopy(body, offset, m_outgoing, headerCount, count);
                SendRaw(m_outgoing, 0, headerCount + count);
            }
            else
            {
                SendRaw(m_outgoing, 0, headerCount);
                SendRaw(body, offset, count);
            }
        }

        private int Receive(byte[] target, int offset, int count)
        {
            var read = m_socket.Receive(target, offset, count, SocketFlags.None);
            if (read <= 0)
            {
                throw new EndOfStreamException("the peer has closed the connection");
            }
            Volatile.Write(ref m_heardTicks, Stopwatch.GetTimestamp());
            return read;
        }
    }
}
