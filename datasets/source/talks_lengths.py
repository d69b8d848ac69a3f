"""Consultations of two and of four turns."""

from talk import sheet, talk


@talk("insurance", "changed-mind", "cooling-off-period")
def changed_mind(t):
    p, f, d = t.pick([2400, 3600, 5000, 8000]), t.pick([10, 20]), t.pick([4, 6, 9])
    s = sheet()
    t.turn([f"我{d}天前签了一份保险，现在后悔了，还能退吗？", f"保单拿到{d}天，家里人不同意，能反悔吗？"],
           [f"I signed an insurance contract {d} days ago and regret it. Can I still get out?", f"I have had the policy for {d} days and my family objects. May I change my mind?"],
           ["很多长期人身险有犹豫期，在期内退保通常退还保费，只扣少量工本费。期限有多长、从哪天起算，请看合同，并尽快书面申请。", "先查合同里的犹豫期：还在期内，一般可以全额退保费并扣一点工本费；过了期限，就只能按现金价值退。"],
           ["Many long-term policies have a cooling-off period in which the premium is returned less a small fee. See the contract for its length and first day, and apply in writing soon.", "Look for the cooling-off period: within it the premium usually comes back less a small fee; after it only the cash value does."])
    s.line("可退金额", "Refund", f"{p} − {f}")
    t.turn([f"查到了，还在犹豫期内，首期保费{p}元，工本费{f}元，能退多少？"], [f"I checked, and I am still within it. The first premium was ${p} and the fee is ${f}. What comes back?"], "", "", s,
           ["退保之前先确认有没有其他保障，避免出现空档。", "申请时留好回执，保障从退保起就没有了。"],
           ["Make sure of other cover first, so that no gap opens.", "Keep the receipt; cover ends with the withdrawal."])


@talk("loans", "lend-to-relative", "simple-interest")
def lend_to_relative(t):
    a, r, n = t.pick([20000, 30000, 50000, 60000]), t.pick([2, 3, 4]), t.pick([6, 8, 18])
    s = sheet()
    x = s.line("利息", "Interest", f"{a} × {r}% × {n} ÷ 12")
    s.line("到期应还", "Due at the end", f"{a} + {x}")
    t.turn([f"我借给亲戚{a}元，说好年利率{r}%、单利，{n}个月后还，到时该收多少？", f"亲戚向我借{a}元，{n}个月，年利率{r}%按单利算，本息一共多少？"],
           [f"I lend a relative ${a} at {r}% simple interest for {n} months. What should I get back?", f"A relative borrows ${a} from me for {n} months at {r}% a year, simple. What do principal and interest come to?"], "", "", s)
    t.turn(["都是亲戚，不写借条行不行？", "打借条会不会显得见外？"], ["We are family. Can we do without a written note?", "Will a written note seem unkind?"],
           ["最好还是写。写明金额、利率、日期和还款方式，并用转账代替现金，日后双方都不容易记错，反而保护关系。", "不会，写清楚是为了避免将来各说各话。一张纸写上双方姓名、金额、利率、到期日和签名，再保留转账记录就够了。"],
           ["Better write it down: amount, rate, dates and way of repayment, and pay by transfer rather than cash. Clear terms protect the relationship.", "No; it keeps memories from drifting apart. One page with names, amount, rate, due date and signatures, plus the transfer record, is enough."])


@talk("tax", "with-or-without-tax", "value-added-tax")
def with_or_without(t):
    a, r = t.pick([1200, 2400, 3600, 4800]), t.pick([5, 10, 20])
    s, u = sheet(), sheet()
    x = s.line("税额", "Tax", f"{a} × {r}%")
    s.line("含税价", "Price with tax", f"{a} + {x}")
    t.turn([f"供应商报价{a}元，不含税，假设增值税率{r}%，我实际要付多少？", f"报价单写着{a}元未税，税率按{r}%，总价是多少？"],
           [f"A supplier quotes ${a} before tax. At an assumed VAT of {r}%, what do I pay?", f"The offer says ${a} net. With {r}% tax, what is the total?"], "", "", s)
    u.line("不含税价", "Price before tax", f"{a} ÷ (1 + {r}%)")
    t.turn([f"如果{a}元其实是含税价呢？不含税是多少？"], [f"And if ${a} already includes the tax? What is it before tax?"], "", "", u,
           ["签合同前把“含税”还是“不含税”写明，避免多付一笔。", "两种报价差不少，比价时要先换成同一口径。"],
           ["State in the contract whether prices include tax, so nothing is paid twice.", "The two differ a good deal; compare offers on the same basis."])


@talk("loans", "car-money", "flat-fee-loan")
def car_money(t):
    price, q, n, f = t.pick([90000, 120000, 150000]), t.pick([20, 30, 40]), 24, t.pick(["0.3", "0.4"])
    s, u, v = sheet(), sheet(), sheet()
    down = s.line("首付", "Down payment", f"{price} × {q}%")
    loan = s.line("贷款", "Loan", f"{price} − {down}")
    t.turn([f"看中一辆{price}元的车，首付{q}%，要贷多少？", f"车价{price}元，首付比例{q}%，剩下的贷款，贷款是多少？"],
           [f"I like a car at ${price} and would pay {q}% down. How large is the loan?", f"The car costs ${price}, {q}% is paid down, the rest is borrowed. How much is that?"], "", "", s)
    fee = u.line("总手续费", "Total fee", f"{loan} × {f}% × {n}")
    u.line("每月还款", "Payment a month", f"({loan} + {fee}) ÷ {n}")
    t.turn([f"店里说“零利率”，只是每月收贷款额{f}%的手续费，分{n}个月。每月还多少？"], [f"The dealer says no interest, just a fee of {f}% of the loan each month for {n} months. What do I pay a month?"], "", "", u)
    avg = v.line("平均欠款", "Average debt", f"{loan} × ({n} + 1) ÷ ({n} × 2)")
    v.line("每年费用占比", "Yearly cost", f"{fee} ÷ 2 ÷ {avg}", "percent")
    t.turn(["既然零利率，是不是等于白借？", "这么算是不是比银行车贷便宜？"], ["So the money is free?", "Is that cheaper than a bank loan?"],
           "手续费就是借款成本，只是换了名字。近似折成年化：", "A fee is the cost of the loan under another name. Roughly, by the year:", v,
           "再拿这个数和银行车贷的年化成本比较。", "Compare that with the yearly cost of a bank's car loan.")
    t.turn(["除了这些，买车还有什么开支要算进去？", "养车一年要留多少预算才稳妥？"], ["What else should be counted when buying a car?", "How do I plan the yearly cost of keeping it?"],
           ["还有保险、保养、油费或电费、停车和折旧。可以把一年的总花费除以12，看加上月供后是否还留得下储蓄。", "把保险、保养、能源、停车和年检逐项列出来，再加一点备用金；各地费用差别大，用自己的报价算最准。"],
           ["Insurance, service, fuel or power, parking and loss of value. Divide the yearly sum by 12 and see whether, with the payment, you can still save.", "List insurance, service, energy, parking and inspection, plus a reserve. Costs differ by place, so use your own quotes."])


@talk("savings", "school-money", "compound-interest")
def school_money(t):
    a, r, q = t.pick([20000, 30000, 40000, 50000]), t.pick([3, 4, 5]), t.pick([2, 3])
    s, u, v = sheet(), sheet(), sheet()
    x = s.line("三年后", "After three years", f"{a} × (1 + {r}%)^3")
    t.turn([f"给孩子存{a}元学费，每年收益{r}%、利滚利，三年后有多少？", f"{a}元按年复利{r}%存三年，到期多少？"],
           [f"I put ${a} aside for school fees at {r}% a year, compounding. What is it after three years?", f"What does ${a} become in three years at {r}% compounded yearly?"], "", "", s)
    y = u.line("单利三年后", "Simple, after three years", f"{a} + {a} × {r}% × 3")
    u.line("复利多得", "Compounding adds", f"{x} − {y}")
    t.turn(["如果利息不滚入本金，会少多少？", "和单利比，多了多少钱？"], ["How much less without interest on interest?", "How much more is that than simple interest?"], "", "", u)
    v.line("按今天物价", "At today's prices", f"{x} ÷ (1 + {q}%)^3")
    t.turn([f"学费如果每年涨{q}%，这笔钱到时候相当于现在多少？"], [f"If fees rise {q}% a year, what is that sum worth in today's terms?"], "", "", v)
    t.turn(["那这笔钱能放进股票里多赚点吗？", "想多赚一点，拿去买股票基金合适吗？"], ["Could I put it into shares to earn more?", "Would a share fund suit it better?"],
           ["三年后必须用的钱不宜大幅波动，万一那时正好下跌就会影响交学费。可以把确定要用的部分放存款，额外的长期储蓄再考虑投资。", "要看能不能推迟使用。日期固定的学费更看重安全；离用钱还有很多年的部分，才适合承受波动。"],
           ["Money due in three years should not swing much; a fall at that moment would hit the fees. Keep what is surely needed in deposits and invest only further long-term savings.", "It depends on whether the date can move. Fees with a fixed date need safety; only money needed many years later can bear swings."])


@talk("bonds", "above-par", "premium-bond")
def above_par(t):
    p, c, y = t.pick([104, 105, 106, 108]), t.pick([5, 6]), t.pick([2, 3])
    s, u, v = sheet(), sheet(), sheet()
    s.line("当期收益率", "Current yield", f"{c} ÷ {p}", "percent")
    t.turn([f"一只债券卖{p}元，面值100元，票息{c}%，比面值贵，还值得买吗？", f"面值100元的债券报价{p}元，票面利率{c}%，先看看收益率是多少？"],
           [f"A bond sells at ${p} with face value $100 and a {c}% coupon. Is it worth buying above face?", f"A bond of face $100 is quoted at ${p} with a {c}% coupon. What does it yield?"],
           "先看每年利息相对买价的比例：", "First the yearly interest against the price:", s, "但只看它会高估，因为到期只还100元。", "Taken alone this is too high, since only $100 comes back at the end.")
    i = u.line("利息合计", "Interest in all", f"{c} × {y}")
    l = u.line("到期损失的溢价", "Premium lost at maturity", f"{p} − 100")
    g = u.line("净收益", "Net gain", f"{i} − {l}")
    t.turn([f"还有{y}年到期，持有到期一共赚多少？不算利息再投资。"], [f"It has {y} years left. What do I earn if I hold it to the end, coupons not reinvested?"], "", "", u)
    v.line("平均每年", "A year on average", f"{g} ÷ {y} ÷ {p}", "percent")
    t.turn(["那平均下来一年是多少？", "折成每年的收益率呢？"], ["What is that a year on average?", "And as a yearly rate?"], "用简单平均粗略估算：", "As a simple average:", v,
           "精确的到期收益率还要考虑利息到手的时间。", "The exact yield to maturity also counts when each coupon arrives.")
    t.turn(["如果中途卖掉呢？", "要是明年急用钱，能卖吗？"], ["And if I sell before the end?", "Could I sell it next year if I need cash?"],
           ["可以在市场上卖，但价格随利率和发行人信用变化，可能高于也可能低于估算，冷门债券还会有较大价差。", "能卖，只是不一定卖得到理想的价钱。若很可能要提前用钱，选期限更短、成交更活跃的债券较稳妥。"],
           ["You can, at the market price, which follows rates and the issuer's credit and may be better or worse; bonds that rarely trade have a wide spread.", "Yes, though perhaps not at the price you would like. If you may need the money, a shorter and more traded bond is safer."])


@talk("pension", "retire-figures")
def retire_figures(t):
    pay, a, b = t.pick([9000, 10000, 12500, 15000]), t.pick([3800, 4200, 4600]), t.pick([500, 800])
    need = a + b + t.pick([900, 1200, 1500])
    s, u, v = sheet(), sheet(), sheet()
    inc = s.line("退休收入", "Retirement income", f"{a} + {b}")
    s.line("替代率", "Replacement rate", f"{inc} ÷ {pay}", "percent")
    t.turn([f"我现在月薪{pay}元，退休后估计有{a}元养老金加{b}元企业年金，替代率是多少？", f"工资{pay}元，将来养老金{a}元、年金{b}元，相当于现在收入的几成？"],
           [f"I earn ${pay} a month and expect a pension of ${a} plus ${b} from the firm. What is my replacement rate?", f"With pay of ${pay} and a later pension of ${a} and ${b}, what share of my income is that?"], "", "", s)
    gap = u.line("每月缺口", "Monthly gap", f"{need} − {inc}")
    t.turn([f"我估计退休后每月要花{need}元，差多少？"], [f"I think I shall need ${need} a month. What is missing?"], "", "", u)
    v.line("20年合计", "Over 20 years", f"{gap} × 12 × 20")
    t.turn(["要是退休后过20年，一共差多少？", "按20年来估，总缺口多大？"], ["And over 20 years of retirement?", "How large is the gap in all over 20 years?"], "不计利息和物价：", "Without interest and inflation:", v)
    t.turn(["这个数挺大，有什么办法缩小？", "怎么补上这个差额比较现实？"], ["That is a lot. How can it be made smaller?", "What is a realistic way to close it?"],
           ["可以早些开始定期储蓄、适当推迟退休、还清债务再退，或重新看退休后的开支。几种办法合起来，比只靠一种轻松。", "先把开支分成必要和可选，再看每月多存多少、晚退几年能补多少，每隔两三年按实际情况重算。"],
           ["Begin regular saving early, retire somewhat later, clear debts first, or review the planned spending. Together these are easier than one alone.", "Split spending into needs and wants, see what extra saving or a few more working years would bring, and redo the sums every two or three years."])
