using System;
using System.Text;

namespace Llia.Core
{
    /// <summary>Writes msgpack in its shortest forms into a buffer that grows once and is used again.</summary>
    internal sealed class MsgpackWriter
    {
        private byte[] m_buffer = new byte[512];
        private int m_count;

        public byte[] Buffer
        {
            get { return m_buffer; }
        }

        public int Count
        {
            get { return m_count; }
        }

        public void Clear()
        {
            m_count = 0;
        }

        public byte[] ToArray()
        {
            var bytes = new byte[m_count];
            System.Buffer.BlockCopy(m_buffer, 0, bytes, 0, m_count);
            return bytes;
        }

        public void Map(int count)
        {
            Sized(count, 0x80, 15, 0, 0xde, 0xdf);
        }

        public void Array(int count)
        {
            Sized(count, 0x90, 15, 0, 0xdc, 0xdd);
        }

        public void Bool(bool value)
        {
            Byte(value ? 0xc3 : 0xc2);
        }

        public void Double(double value)
        {
            Byte(0xcb);
            Bits((ulong)BitConverter.DoubleToInt64Bits(value), 8);
        }

        public void Int(long value)
        {
            if (value >= 0)
            {
                if (value < 0x80)
                {
                    Byte((int)value);
                }
                else if (value <= byte.MaxValue)
                {
                    Coded(0xcc, value, 1);
                }
                else if (value <= ushort.MaxValue)
                {
                    Coded(0xcd, value, 2);
                }
                else if (value <= uint.MaxValue)
                {
                    Coded(0xce, value, 4);
                }
                else
                {
                    Coded(0xcf, value, 8);
                }
            }
            else if (value >= -32)
            {
                Byte((int)value & 0xff);
            }
            else if (value >= sbyte.MinValue)
            {
                Coded(0xd0, value, 1);
            }
            else if (value >= short.MinValue)
            {
                Coded(0xd1, value, 2);
            }
            else if (value >= int.MinValue)
            {
                Coded(0xd2, value, 4);
            }
            else
            {
                Coded(0xd3, value, 8);
            }
        }

        public void Text(string value)
        {
            var count = Encoding.UTF8.GetByteCount(value);
            Sized(count, 0xa0, 31, 0xd9, 0xda, 0xdb);
            Need(count);
            m_count += Encoding.UTF8.GetBytes(value, 0, value.Length, m_buffer, m_count);
        }

        /// <summary>A number that is not negative, as text in decimal digits; -1 gives an empty text.</summary>
        public void NumberAsText(long value)
        {
            var digits = 0;
            for (var rest = value; rest > 0 || (digits == 0 && value == 0); rest /= 10)
            {
                digits++;
            }
            Byte(0xa0 | digits);
            Need(digits);
            for (int i = digits - 1; i >= 0; i--)
            {
                m_buffer[m_count + i] = (byte)('0' + value % 10);
                value /= 10;
            }
            m_count += digits;
        }

        private void Sized(int count, int fixedCode, int fixedMost, int code8, int code16, int code32)
        {
            if (count <= fixedMost)
            {
                Byte(fixedCode | count);
            }
            else if (code8 != 0 && count <= byte.MaxValue)
            {
                Coded(code8, count, 1);
            }
            else if (count <= ushort.MaxValue)
            {
                Coded(code16, count, 2);
            }
            else
            {
                Coded(code32, count, 4);
            }
        }

        private void Coded(int code, long value, int bytes)
        {
            Byte(code);
            Bits((ulong)value, bytes);
        }

        private void Byte(int value)
        {
            Need(1);
            m_buffer[m_count++] = (byte)value;
        }

        private void Bits(ulong value, int bytes)
        {
            Need(bytes);
            for (var i = bytes - 1; i >= 0; i--)
            {
                m_buffer[m_count++] = (byte)(value >> (8 * i));
            }
        }

        private void Need(int count)
        {
            if (m_count + count > m_buffer.Length)
            {
                System.Array.Resize(ref m_buffer, Math.Max(m_buffer.Length * 2, m_count + count));
            }
        }
    }
}
