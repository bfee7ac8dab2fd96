using System;
using System.Threading.Tasks;

namespace Llia.Core
{
    /// <summary>A request that waits to be sent, then for its answer.</summary>
    internal abstract class PendingRequest
    {
        public readonly byte[] Payload;
        public readonly long DeadlineMs;

        private readonly Action<MsgpackWriter, long> m_write;

        protected PendingRequest(Action<MsgpackWriter, long> write, byte[] payload, long deadlineMs)
        {
            m_write = write;
            Payload = payload;
            DeadlineMs = deadlineMs;
        }

        public void Write(MsgpackWriter writer, long number)
        {
            m_write(writer, number);
        }

        public abstract void Answer(Reply reply);

        public abstract void Fail(string code, string text);
    }

    /// <summary>One whose answer somebody awaits.</summary>
    internal sealed class PendingRequest<T> : PendingRequest where T : Reply
    {
        private readonly TaskCompletionSource<T> m_completion =
            new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);

        public PendingRequest(Action<MsgpackWriter, long> write, byte[] payload, long deadlineMs)
            : base(write, payload, deadlineMs)
        {
        }

        public Task<T> Task
        {
            get { return m_completion.Task; }
        }

        public void Cancel()
        {
            m_completion.TrySetCanceled();
        }

        public override void Answer(Reply reply)
        {
            var wanted = reply as T;
            if (wanted != null)
            {
                m_completion.TrySetResult(wanted);
            }
            else
            {
                Fail("bad_answer", "the daemon gave another answer than the protocol tells");
            }
        }

        public override void Fail(string code, string text)
        {
            m_completion.TrySetException(new LliaException(code, text));
        }
    }
}
